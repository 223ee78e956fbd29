"""Unpacks the Milvus of the package `milvus`, and starts it: what script/engines calls."""

import importlib.util
import lzma
import os
import pathlib
import signal
import sys


def unpack(root: pathlib.Path) -> None:
    """Unpacks the programs of the package into ROOT/milvus/bin."""
    for packed in (root / "packages/milvus/data/bin").glob("*.lzma"):
        program = root / "milvus/bin" / packed.stem
        with lzma.open(packed) as source:
            program.write_bytes(source.read())
        program.chmod(0o755)


def start(root: pathlib.Path, data: pathlib.Path, port: int) -> None:
    """Starts a server with its data in a folder, and waits for its end."""
    spec = importlib.util.spec_from_file_location("milvus", root / "packages/milvus/__init__.py")
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    package.MilvusServer.get_milvus_executable_path = lambda _: str(root / "milvus/bin/milvus")
    package._initialize_data_files = lambda _: None
    server = package.MilvusServer(data_dir=str(data.resolve()), proxy_port=port)
    server.start()
    process = server.server_proc
    # The package's own way gives the server four seconds to end, and fails if it takes longer.
    package.MilvusServer.stop = lambda _: None
    ends = iter([process.terminate])
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: next(ends, process.kill)())
    print(f"milvus://127.0.0.1:{port}/photos", file=sys.stderr, flush=True)
    process.wait()


if __name__ == "__main__":
    os.umask(0o022)
    given = [pathlib.Path(word) for word in sys.argv[2:4]]
    if sys.argv[1] == "unpack":
        unpack(*given)
    else:
        start(*given, int(sys.argv[4]))
