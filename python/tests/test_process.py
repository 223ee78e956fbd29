"""What a process is to the library: signals, forks, locks, and the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import imgsearch


def python(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a new process."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,  # type: ignore[call-overload]
    )


def command(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs the command of the same environment."""
    program = Path(sys.executable).parent / "imgsearch"
    return subprocess.run(
        [str(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,  # type: ignore[call-overload]
    )


def test_the_runtime_is_that_of_the_package() -> None:
    path, version = imgsearch.runtime()
    assert path.parent.parts[-2:] == ("onnxruntime", "capi")
    assert version.count(".") == 2
    assert imgsearch.default_folder().name == "imgsearch"


def test_the_command_indexes_and_answers(samples: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    made = command("index", samples, "--index", index)
    assert made.returncode == 0, made.stderr
    found = command("query", samples / "cat.jpg", "--index", index, "--paths", "-k", "1")
    assert found.returncode == 0 and found.stdout == f"{samples / 'cat.jpg'}\n"
    none = command("query", samples / "cat.jpg", "--index", tmp_path / "none")
    assert none.returncode == 2 and "there is no index in" in none.stderr
    assert command("query").returncode == 2
    version = command("-V")
    assert version.stdout == f"imgsearch {imgsearch.__version__}\n"
    module = subprocess.run(
        [sys.executable, "-m", "imgsearch", "runtime", "--json"], capture_output=True, text=True
    )
    assert module.returncode == 0 and '"offered"' in module.stdout
    # The library sees what the command made.
    assert imgsearch.Library(index).status().images == 16


def test_the_command_takes_paths_that_are_not_unicode(samples: Path, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/cat.jpg", "wb") as file:
        file.write((samples / "cat.jpg").read_bytes())
    made = command("index", os.fsdecode(folder), "--index", tmp_path / "index")
    assert made.returncode == 0, made.stderr
    found = imgsearch.Library(tmp_path / "index").search(samples / "cat.jpg")
    assert os.fsencode(found[0].path) == folder + b"/cat.jpg"


def test_ctrl_c_stops_indexing_and_keeps_what_is_done(samples: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(600):
        # Other bytes, so that each has to be encoded.
        (photos / f"{number:03}.jpg").write_bytes(
            (samples / "coins.jpg").read_bytes() + str(number).encode()
        )
    code = """
        import os, signal, sys, imgsearch
        library = imgsearch.Library(sys.argv[1])
        def report(stage, done, of):
            if stage == "indexing" and done >= 20:
                os.kill(os.getpid(), signal.SIGINT)
        try:
            library.index(sys.argv[2], progress=report, adapt=False)
        except KeyboardInterrupt:
            print("interrupted", library.status().images)
    """
    ended = python(code, tmp_path / "index", photos)
    assert ended.returncode == 0, ended.stderr
    said, images = ended.stdout.split()
    assert said == "interrupted" and 20 <= int(images) < 600
    library = imgsearch.Library(tmp_path / "index")
    assert library.index(photos, adapt=False).unchanged == int(images)


def test_ctrl_c_ends_the_command(samples: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "imgsearch"
    # It waits for more names.
    waiting = subprocess.Popen(
        [str(program), "encode", "--files-from", "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while b"imgsearch" not in Path(f"/proc/{waiting.pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    waiting.send_signal(signal.SIGINT)
    waiting.wait(30)
    assert waiting.returncode in (-signal.SIGINT, 130)


def test_what_a_report_raises_stops_the_work(photos: Path, tmp_path: Path) -> None:
    def report(stage: str, done: int, of: int) -> None:
        raise RuntimeError(f"{stage} stopped")

    library = imgsearch.Library(tmp_path / "index")
    with pytest.raises(RuntimeError, match="stopped"):
        library.index(photos, progress=report)
    library.index(photos)
    assert library.status().images == 4


def test_progress_is_shown_on_standard_error(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (photos / "bad.png").write_bytes(b"\x89PNG nothing")
    imgsearch.Library(tmp_path / "index").index(photos, progress=True)
    shown = capfd.readouterr()
    assert "indexing 5 of 5" in shown.err and "bad.png" in shown.err and shown.out == ""
    imgsearch.Library(tmp_path / "index").index(photos)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_is_refused_and_ends(samples: Path, indexed: Path) -> None:
    code = """
        import os, sys, imgsearch
        library = imgsearch.Library(sys.argv[1])
        library.search(sys.argv[2])
        child = os.fork()
        if child == 0:
            refused = 0
            for use in (
                lambda: library.search(sys.argv[2]),
                lambda: library.status(),
                lambda: imgsearch.Library(sys.argv[1]),
                lambda: imgsearch.Encoder(),
                lambda: imgsearch.Index.open(sys.argv[1]),
            ):
                try:
                    use()
                except imgsearch.ForkedProcess as error:
                    assert "spawn" in str(error)
                    refused += 1
            del library
            sys.exit(refused)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(len(library.search(sys.argv[2])))
    """
    ended = python(code, indexed, samples / "cat.jpg")
    assert ended.stdout.split() == ["5", "10"], ended.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_processes_that_use_it_first_or_are_spawned_work(samples: Path, indexed: Path) -> None:
    code = """
        import multiprocessing, sys, imgsearch

        def ask(arguments):
            index, image = arguments
            return imgsearch.Library(index).search(image)[0].path.name

        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[3]).Pool(2) as pool:
                print(*pool.map(ask, [(sys.argv[1], sys.argv[2])] * 2))
    """
    ended = python(code, indexed, samples / "cat.jpg", "fork")
    assert ended.stdout.split() == ["cat.jpg"] * 2, ended.stderr


def test_another_library_answers_while_one_indexes(
    photos: Path, samples: Path, tmp_path: Path
) -> None:
    first, second = (imgsearch.Library(tmp_path / "index") for _ in range(2))
    first.index(photos)
    begun, end = threading.Event(), threading.Event()

    def report(stage: str, done: int, of: int) -> None:
        begun.set()
        end.wait(60)

    (photos / "new.jpg").write_bytes((samples / "rocket.jpg").read_bytes())
    failures: list[BaseException] = []

    def index() -> None:
        try:
            first.index(photos, progress=report)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=index)
    thread.start()
    assert begun.wait(60)
    assert second.search(photos / "cat.jpg", k=1)[0].path.name == "cat.jpg"
    end.set()
    thread.join()
    assert failures == []


def test_an_index_that_is_written_to_is_locked(samples: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(200):
        (photos / f"{number:03}.jpg").write_bytes(
            (samples / "coins.jpg").read_bytes() + str(number).encode()
        )
    first, second = (imgsearch.Library(tmp_path / "index") for _ in range(2))
    begun = threading.Event()

    def report(stage: str, done: int, of: int) -> None:
        # Nearly all is still to be done.
        if stage == "indexing":
            begun.set()

    thread = threading.Thread(
        target=first.index, args=(photos,), kwargs={"progress": report, "adapt": False}
    )
    thread.start()
    assert begun.wait(60)
    with pytest.raises(imgsearch.Locked, match="is being written to by"):
        second.remove(photos / "none.jpg")
    thread.join()
    assert second.remove(photos / "none.jpg") == 0


def test_every_name_is_there_and_the_command_loads_little() -> None:
    for name in imgsearch.__all__:
        assert getattr(imgsearch, name).__module__.startswith("imgsearch")
    assert set(imgsearch.__all__) <= set(dir(imgsearch))
    assert set(imgsearch.__all__) == set(imgsearch._MODULES)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        imgsearch.nothing_like_it  # type: ignore[attr-defined]
    loaded = python("import sys, imgsearch._cli; print(*sys.modules)").stdout.split()
    assert "imgsearch._native" in loaded
    assert not {"numpy", "dataclasses", "onnxruntime", "imgsearch._library"} & set(loaded)
