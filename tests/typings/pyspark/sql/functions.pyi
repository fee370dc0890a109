# See __init__.pyi.
from typing import Any

array: Any
col: Any
from_json: Any
inline: Any
lit: Any
raise_error: Any
when: Any
