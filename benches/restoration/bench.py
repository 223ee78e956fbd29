"""Measures networks of `imgsearch train restorer` beside classical methods.

    pip install numpy pillow opencv-python-headless
    python benches/restoration/bench.py split PHOTOS WORK
    imgsearch train restorer WORK/train --task denoise -o WORK/denoise.onnx
    python benches/restoration/bench.py judge PHOTOS WORK denoise WORK/denoise.onnx --program imgsearch

`split` links all but 80 of the photographs, spread evenly by name, into WORK/train. `judge` corrupts those 80 with
a fixed seed, restores them with the program, and prints PSNR and SSIM (of the luma, windows of 11 x 11) as means over
the pictures. The classical methods see the same corrupted pictures. Non-local means is tuned on the very pictures that
judge it, in its favour.
"""

import argparse
import pathlib
import subprocess

import cv2
import numpy as np

JUDGED = 80
SUFFIXES = {".jpg", ".jpeg", ".png"}


def parts(photos):
    names = sorted(path for path in photos.iterdir() if path.suffix.lower() in SUFFIXES)
    places = {i * len(names) // JUDGED for i in range(JUDGED)}
    judged = [name for i, name in enumerate(names) if i in places]
    return judged, [name for i, name in enumerate(names) if i not in places]


def psnr(made, clean, where=None):
    error = (made.astype(np.float64) - clean) ** 2
    error = error[where] if where is not None else error
    return 10 * np.log10(255**2 / max(error.mean(), 1e-9))


def ssim(made, clean):
    a, b = (cv2.cvtColor(x, cv2.COLOR_BGR2GRAY).astype(np.float64) for x in (made, clean))
    blur = lambda x: cv2.GaussianBlur(x, (11, 11), 1.5)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    return (((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean()


def chroma(made, clean):
    a, b = (cv2.cvtColor(x, cv2.COLOR_BGR2YCrCb)[..., 1:].astype(np.float64) for x in (made, clean))
    return np.sqrt(((a - b) ** 2).sum(-1)).mean()


def hole(shape, random):
    """Rectangles of up to 40 pixels and strokes, about 10 % of the picture."""
    mask = np.zeros(shape, np.uint8)
    while mask.mean() < 0.1 * 255:
        x, y = random.integers(shape[1]), random.integers(shape[0])
        if random.random() < 0.5:
            w, h = random.integers(8, 41, 2)
            mask[y : y + h, x : x + w] = 255
        else:
            end = (int(x + random.integers(-80, 81)), int(y + random.integers(-80, 81)))
            cv2.line(mask, (int(x), int(y)), end, 255, int(random.integers(3, 9)))
    return mask


def watermark(clean, random):
    cover = clean.copy()
    height, width = clean.shape[:2]
    place = (int(random.integers(width // 4)), int(random.integers(height // 3, height)))
    cv2.putText(cover, "SAMPLE 2026", place, cv2.FONT_HERSHEY_SIMPLEX, width / 350, (255,) * 3, 3)
    return cv2.addWeighted(cover, 0.6, clean, 0.4, 0)


def show(name, rows):
    digits = {"SSIM": 3}
    means = (f"{title} {np.mean(values):.{digits.get(title, 2)}f}" for title, values in rows.items())
    print(f"{name:<36}" + "  ".join(means))


def restore(args, names, more=()):
    out = args.work / "out"
    inputs = [str(args.work / "in" / name) for name in names]
    subprocess.run([args.program, "restore", *inputs, "--model", args.model, "-o", str(out), "--force", "-q", *more], check=True)
    return [cv2.imread(str(out / name)) for name in names]


def judge(args):
    judged, _ = parts(args.photos)
    random = np.random.default_rng(0)
    (args.work / "in").mkdir(parents=True, exist_ok=True)
    clean = [cv2.imread(str(path)) for path in judged]
    names = [f"{i:03}.png" for i in range(len(clean))]
    write = lambda images: [cv2.imwrite(str(args.work / "in" / n), image) for n, image in zip(names, images)]
    scores = lambda made: {"PSNR": [psnr(a, b) for a, b in zip(made, clean)], "SSIM": [ssim(a, b) for a, b in zip(made, clean)]}
    if args.task == "denoise":
        noisy = [np.clip(np.round(x + random.normal(0, 25, x.shape)), 0, 255).astype(np.uint8) for x in clean]
        write(noisy)
        show("noisy (sigma 25)", scores(noisy))
        show("imgsearch, level estimated", scores(restore(args, names)))
        show("imgsearch, --noise 25", scores(restore(args, names, ["--noise", "25"])))
        tuned = {}
        for h in (6, 9, 12, 15, 18, 22):
            few = range(0, len(clean), 8)
            made = [cv2.fastNlMeansDenoisingColored(noisy[i], None, h, h, 7, 21) for i in few]
            tuned[h] = np.mean([psnr(a, clean[i]) for a, i in zip(made, few)])
        h = max(tuned, key=tuned.get)
        show(f"non-local means, h = {h} (best of 6)", scores([cv2.fastNlMeansDenoisingColored(x, None, h, h, 7, 21) for x in noisy]))
    elif args.task == "inpaint":
        masks = [hole(x.shape[:2], random) for x in clean]
        holed = [np.where(m[..., None] > 0, 128, x).astype(np.uint8) for x, m in zip(clean, masks)]
        write(holed)
        made = []
        for name, mask in zip(names, masks):
            cv2.imwrite(str(args.work / "mask.png"), mask)
            made.append(filled(args, name))
        inside = lambda made: {"PSNR in the hole": [psnr(a, b, m > 0) for a, b, m in zip(made, clean, masks)], "SSIM": scores(made)["SSIM"]}
        show("imgsearch", inside(made))
        show("Telea, radius 3", inside([cv2.inpaint(x, m, 3, cv2.INPAINT_TELEA) for x, m in zip(holed, masks)]))
    elif args.task == "watermark":
        marked = [watermark(x, random) for x in clean]
        write(marked)
        show("with a text", scores(marked))
        show("imgsearch", scores(restore(args, names)))
    else:
        grey = [cv2.cvtColor(cv2.cvtColor(x, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) for x in clean]
        write(grey)
        mean = np.mean([cv2.cvtColor(x, cv2.COLOR_BGR2YCrCb)[..., 1:].reshape(-1, 2).mean(0) for x in clean], 0)
        even = []
        for x in grey:
            planes = cv2.cvtColor(x, cv2.COLOR_BGR2YCrCb)
            planes[..., 1:] = np.round(mean)
            even.append(cv2.cvtColor(planes, cv2.COLOR_YCrCb2BGR))
        for name, made in (("imgsearch", restore(args, names)), ("grey", grey), ("mean colour of the 80", even)):
            show(name, {"distance in chroma": [chroma(a, b) for a, b in zip(made, clean)]} | scores(made))


def filled(args, name):
    target = args.work / "one.png"
    command = [args.program, "restore", str(args.work / "in" / name), "--model", args.model, "-o", str(target)]
    subprocess.run([*command, "--mask", str(args.work / "mask.png"), "--force", "-q"], check=True)
    return cv2.imread(str(target))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["split", "judge"])
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("task", nargs="?", choices=["denoise", "inpaint", "watermark", "colourise"])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--program", default="imgsearch")
    args = parser.parse_args()
    if args.what == "judge":
        if args.model is None:
            parser.error("judge takes a task and a model")
        judge(args)
        return
    folder = args.work / "train"
    folder.mkdir(parents=True, exist_ok=True)
    for path in parts(args.photos)[1]:
        (folder / path.name).symlink_to(path.resolve())


if __name__ == "__main__":
    main()
