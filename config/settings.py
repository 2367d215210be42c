"""All settings, read from the environment here and nowhere else. README.md lists them for operators."""

from pathlib import Path

import environ

from config.local_secrets import local_secret

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# --- What kind of deployment this is -------------------------------------------------------------

# PRODUCTION=1 takes away every convenience of a laptop: generated secrets, loopback hosts, plain HTTP.
PRODUCTION = env.bool("PRODUCTION", default=False)
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY") if PRODUCTION else env.str("SECRET_KEY", default="") or local_secret(VAR_DIR, "secret_key")
