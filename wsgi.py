"""The WSGI entry point: `gunicorn -c gunicorn.conf.py wsgi:app`, settings from the environment."""

from app import create_app
from app.settings import Settings

app = create_app(Settings())
