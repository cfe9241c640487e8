"""What a wheel carries beside the code: the server's settings and entry, the sample rules, forms and requests.

They are installed under share/signpost of the environment, where `app.settings.ROOT` finds them without a checkout.
"""

from pathlib import Path

from setuptools import setup

FILES = ("gunicorn.conf.py", "wsgi.py")
FOLDERS = ("rules", "questionnaires", "docs/examples")

here = Path(__file__).parent
folders = [each for top in FOLDERS for each in [here / top, *(here / top).rglob("*")] if each.is_dir()]
found = {each.relative_to(here): sorted(path for path in each.iterdir() if path.is_file()) for each in folders}
setup(
    data_files=[
        ("share/signpost", list(FILES)),
        *((f"share/signpost/{name}", [str(path.relative_to(here)) for path in paths]) for name, paths in found.items()),
    ]
)
