"""A real nginx that shares requests out among servers."""

import os
import shutil
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.services.processes import answers, end_with_parent, free_ports, wait_until

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
    listen 127.0.0.1:{port};
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
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    assert Path(program).exists(), "the tests need nginx: install Debian's package nginx-light"
    (port,) = free_ports(1)
    folder.mkdir(parents=True)
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers may not write to the folder
    servers = " ".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=1s;" for each in ports)
    (folder / "nginx.conf").write_text(CONFIG.format(user=user, folder=folder, servers=servers, port=port))
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with subprocess.Popen(
        command,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - it calls one function of C's library
    ) as process:
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
