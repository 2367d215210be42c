"""Static files in production: compressed, and named after their contents, so that browsers may keep them for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # untyped
    """WhiteNoise's, which also rewrites what our JavaScript modules import from one another."""

    support_js_module_import_aggregation = True
