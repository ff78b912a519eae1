"""Your own videos: ``python docs/tutorials/own_videos.py [<setting>=<value> ...]``."""

# %% [markdown]
# # Your own videos
#
# This tutorial checks a folder of videos, trains a model that turns their edges back into video, and translates
# another video with it. The script: `docs/tutorials/own_videos.py`.
#
# Four rendered clips stand in for your videos here. To use yours, leave the next cell out and set `videos` to your
# folder: videos and folders of frames in any mix, in any subfolder.

# %%
import subprocess
import sys
from pathlib import Path

import zoo

videos = Path("my_videos")
videos.mkdir(exist_ok=True)
clip = zoo.clips("puppets", view="street", split="train", frames=48, batch=4)
for number, video in enumerate(clip["video"]):
    zoo.save_video(video, videos / f"{number}.mp4", fps=12.5)

# %% [markdown]
# ## Check the folder
#
# `zoo data check` lists the videos that it uses and those that it skips, warns of possible problems, and writes a
# contact sheet with one row per video. `python -m zoo` is the same as `zoo`.


# %%
def zoo_command(*words: str) -> None:
    """Run a command of the zoo, as in a shell."""
    subprocess.run([sys.executable, "-m", "zoo", *words], check=True)


zoo_command("data", "check", f"root={videos}", "condition=edges", "sheet=my_videos.png")

# %% [markdown]
# ## Train
#
# vid2vid needs a map to translate and the flow between frames. Canny edges are computed from the frames, and flow is
# estimated with DIS. Frames and flow are cached in `my_videos/.zoo`, so the second training starts at once. A fifth of
# the videos is held out for validation.

# %%
run = zoo.fit("model=vid2vid", "data=folder", f"data.root={videos}", "data.condition=edges", *sys.argv[1:])
print("run folder:", run.folder)

# %% [markdown]
# ## Translate another video
#
# `given=` takes any video. Its edges are computed while it is read, so it can have any length.

# %%
zoo_command("sample", f"run={run.folder}", f"given={videos / '0.mp4'}", "frames=8", "out=translated")
print(*sorted(path.name for path in Path("translated").iterdir()))

# %% [markdown]
# ## Next
#
# - For a single short video, use `experiment=footage`: `zoo train experiment=footage data.root=<folder of mp4s>`.
# - With label maps, poses or classes beside the videos: [data sets](../guides/data-sets.md).
# - [Measure](measure_folders.md) the result.
