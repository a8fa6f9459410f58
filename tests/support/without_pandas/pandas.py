"""No pandas: on the path of processes that do not need it; see `tests.support.server_process.without_pandas`."""

raise ImportError("pandas is kept from this process: tests.support.server_process.without_pandas")
