"""A real nginx that shares requests out among servers, by HTTP or by HTTPS."""

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.services.processes import answers, end_with_parent, free_ports, listens, wait_until
from tests.support.services.programs import program

CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 16m;
  upstream servers {{ {servers} keepalive 16; }}
  server {{
    listen 127.0.0.1:{port}{options};
    location / {{
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 2s;
      proxy_next_upstream error timeout http_503 non_idempotent;
      proxy_next_upstream_tries 2;
    }}
  }}
}}
"""


@contextmanager
def balancing(folder: Path, ports: Sequence[int]) -> Generator[str]:
    """Its address; a request that one server cannot answer goes to the next, events too, since they count once."""
    (port,) = free_ports(1)
    with _serving(folder, ports, port) as process:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), process)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def encrypting(folder: Path, to: int, cert: Path, key: Path) -> Generator[int]:
    """The port where one server is spoken to by HTTPS."""
    (port,) = free_ports(1)
    with _serving(folder, [to], port, f" ssl; ssl_certificate {cert}; ssl_certificate_key {key}") as process:
        wait_until(lambda: listens(port), process)
        yield port


@contextmanager
def sheltering(folder: Path, to: int) -> Generator[int]:
    """The port where a server hears of whole requests alone, and says its whole answer, whoever is gone meanwhile.

    clickhouse-local needs it: unlike ClickHouse's server it ends where a peer is gone in the middle of what it says.
    """
    (port,) = free_ports(1)
    with _serving(folder, [to], port, "; proxy_ignore_client_abort on") as process:
        wait_until(lambda: listens(port), process)
        yield port


@contextmanager
def _serving(folder: Path, ports: Sequence[int], port: int, options: str = "") -> "Generator[subprocess.Popen[str]]":
    folder.mkdir(parents=True)
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers may not write to the folder
    servers = " ".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=1s;" for each in ports)
    text = CONFIG.format(user=user, folder=folder, servers=servers, port=port, options=options)
    (folder / "nginx.conf").write_text(text)
    command = [
        str(program("nginx")),
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        str(folder / "error.log"),
    ]
    with subprocess.Popen(
        command,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - it calls one function of C's library
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
