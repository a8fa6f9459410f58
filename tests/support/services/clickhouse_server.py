"""Runs a ClickHouse server, HTTP and native ports on loopback, until it is killed.

    python clickhouse_server.py LIBCHDB DATA_DIR NATIVE_PORT HTTP_PORT CONFIG.xml

Debian has no current package of it, but the npm package @chdb/lib-linux-x64-gnu holds the whole engine as a library,
and its clickhouse-local can listen. Two of them whose configurations name both make a sharded cluster. It never listens
for other replicas (`interserver_http_port`) and runs no queue of statements: with a Keeper, even the small one that is
in its own process, tables of `Replicated` engines can be made but not written, and there is no `ON CLUSTER`.
"""

import ctypes
import os
import sys


class Result(ctypes.Structure):
    _fields_ = (
        ("buf", ctypes.c_char_p),
        ("len", ctypes.c_size_t),
        ("_vec", ctypes.c_void_p),
        ("elapsed", ctypes.c_double),
        ("rows", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("error", ctypes.c_char_p),
    )


def main() -> None:
    path, data_dir, native_port, http_port, config = sys.argv[1:]
    deep_bind = 0x8  # its allocator stays its own
    library = ctypes.CDLL(path, mode=os.RTLD_NOW | deep_bind)
    serve_forever = (
        "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; "
        "SELECT sleepEachRow(3) FROM system.numbers SETTINGS max_block_size=1, max_execution_time=0 FORMAT Null"
    )
    arguments = [
        "clickhouse",
        f"--path={data_dir}",
        f"--tcp_port={native_port}",
        f"--http_port={http_port}",
        "--listen_host=127.0.0.1",
        "--log-level=warning",
        f"--config-file={config}",
        f"--query={serve_forever}",
    ]
    library.query_stable_v2.restype = ctypes.POINTER(Result)
    library.query_stable_v2.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    argv = (ctypes.c_char_p * (len(arguments) + 1))(*[a.encode() for a in arguments], None)
    result = library.query_stable_v2(len(arguments), argv)
    sys.exit(f"ClickHouse ended: {result.contents.error}")


if __name__ == "__main__":
    main()
