"""Measure any two folders: ``python docs/tutorials/measure_folders.py``."""

# %% [markdown]
# # Measure any two folders
#
# `zoo evaluate` measures the videos of any model. It needs a folder of real videos and a folder of generated ones. The
# script: `docs/tutorials/measure_folders.py`.
#
# Here the "generated" videos are noisy copies of real ones.

# %%
import json
import subprocess
import sys
from pathlib import Path

import torch

import zoo

real, fake = Path("real"), Path("fake")
clip = zoo.clips("puppets", view="street", frames=16, batch=4)
noise = 0.2 * torch.randn(clip["video"].shape, generator=torch.Generator().manual_seed(0))
for folder, videos in ((real, clip["video"]), (fake, (clip["video"] + noise).clamp(-1, 1))):
    folder.mkdir(exist_ok=True)
    for number, video in enumerate(videos):
        zoo.save_video(video, folder / f"{number}.mp4", fps=12.5)

# %% [markdown]
# ## Measure
#
# Without further settings, the motion metrics are computed. Videos with the same name in both folders are also
# compared in pairs (L1, PSNR, SSIM). In a shell: `zoo evaluate real=real fake=fake frames=16`.

# %%
subprocess.run([sys.executable, "-m", "zoo", "evaluate", f"real={real}", f"fake={fake}", "frames=16"], check=True)

# %% [markdown]
# Each line of `fake/results.jsonl` holds the numbers of one protocol, and the whole protocol: clips, frames, size,
# frame rate, resizing, and a checksum of the real clips. `real/<metric>` is the metric on real clips: the best value
# attainable.

# %%
for line in (fake / "results.jsonl").read_text().splitlines():
    print(json.dumps(json.loads(line), indent=2)[:2000])

# %% [markdown]
# ## FVD, FID and the rest
#
# Distribution metrics need a feature network. FVD and FID also need more clips than it has features. Weights come
# from a local file; nothing is downloaded:
#
# ```
# zoo evaluate real=real fake=fake metrics=[fvd,kvd] features=r3d_18 features_weights=<r3d_18-….pth>
# zoo evaluate real=real fake=fake metrics=[fvd] frames=17 features=i3d features_weights=<i3d_torchscript.pt>
# ```
#
# [All metrics](../reference/metrics.md), and [what a protocol is](../guides/evaluation.md).
