"""`make fuzz`: guided by what code each input reaches, for some seconds a target.

`python -m tests.fuzz TARGET SECONDS` keeps what it learns in `.cache/fuzz`, and writes an input that breaks the target
to `tests/fuzz/corpus`, where the tests find it from then on. `python -m tests.fuzz --seeds` writes the first inputs.
"""

import sys
from hashlib import sha256
from pathlib import Path


def write(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / sha256(data).hexdigest()[:16]
    file.write_bytes(data)
    return file


def fuzz(name: str, seconds: int) -> None:
    import atheris  # installed by `make fuzz` alone

    with atheris.instrument_imports(include=["usageledger"]):
        from tests.fuzz.targets import CORPUS, TARGETS

    def run(data: bytes) -> None:
        try:
            TARGETS[name](data)
        except BaseException:
            sys.stderr.write(f"kept as {write(CORPUS / name, data)}\n")
            raise

    learnt = Path(".cache/fuzz") / name
    learnt.mkdir(parents=True, exist_ok=True)
    limits = [
        f"-max_total_time={seconds}",
        "-max_len=16384",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={learnt}/", str(learnt), str(CORPUS / name)], run)
    atheris.Fuzz()


def write_seeds() -> None:
    from tests.fuzz.targets import CORPUS, seeds

    for name, inputs in seeds().items():
        for data in inputs:
            write(CORPUS / name, data)


if __name__ == "__main__":
    if sys.argv[1:] == ["--seeds"]:
        write_seeds()
    else:
        fuzz(sys.argv[1], int(sys.argv[2]))
