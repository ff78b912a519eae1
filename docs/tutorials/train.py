"""Train in five minutes: ``python docs/tutorials/train.py [<setting>=<value> ...]``."""

# %% [markdown]
# # Train in five minutes
#
# This tutorial trains vid2vid on `puppets`, a rendered data set with exact ground truth, shows the results, and
# samples a longer video. Nothing is downloaded. On two idle CPU cores it takes about five minutes.
#
# The script: `docs/tutorials/train.py`. In a shell the first step is `zoo train model=vid2vid data=puppets`.

# %% [markdown]
# ## Look at the data
#
# A clip is a dict of batched tensors. Video is `(B, T, 3, H, W)` with values in [-1, 1]; the other fields and their
# units are listed under [zoo.types](../reference/api/types.md).

# %%
import sys

import zoo

clip = zoo.clips("puppets", view="street", frames=8, batch=2)
for name in ("video", "labels", "flow"):
    print(name, tuple(clip[name].shape))

# %% [markdown]
# ## Train
#
# `zoo.fit` takes the settings of the command line and returns the finished run. Settings that you type
# after the script's name are added, for example `budget.clips=100` for a shorter training.

# %%
run = zoo.fit("model=vid2vid", "data=puppets", *sys.argv[1:])
print("run folder:", run.folder)
for key, value in sorted(run.metrics.items()):
    print(f"{key:40} {value:.3f}")

# %% [markdown]
# The key of a metric names its protocol: `val/psnr@8x8f-c1-64x128px` was measured on 8 clips of 8 frames, of which
# one was given, at 64 x 128 pixels.
#
# Open `gallery.mp4` in the run folder. Its rows are the given labels, the real clip and the generated clip.
# `curves.png` plots losses and metrics over clips seen. [Every file](../reference/run-folder.md) is described in
# the reference.

# %% [markdown]
# ## Sample
#
# `zoo.load` rebuilds the model from the run folder. A request describes the sample: here eight frames from the given
# labels, the first of them real. The same request always gives the same sample.

# %%
model = zoo.load(run.folder)
sample = model.sample(zoo.SampleRequest(frames=8, given=clip, context=1, seed=0))
print("sample:", tuple(sample.video.shape))
zoo.save_video(sample.video[0], "sample.mp4", fps=12.5)

# %% [markdown]
# For long videos use the command, which writes frame by frame at constant memory:
#
# ```
# zoo sample run=runs/<run> frames=300
# ```
#
# ## Next
#
# - Stop the training with Ctrl-C and resume it: [resuming](../guides/resuming.md).
# - Train the baseline, `model=pix2pixhd`, and [compare the two](../guides/comparing.md).
# - Use [your own videos](own_videos.md).
