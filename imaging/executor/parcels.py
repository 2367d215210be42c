"""The bytes of pictures on their way between web process and workers: in Redis, until they are used."""

from imaging.executor import store

# Renewed with the job. A result waits as long as its answer.
PICTURE, RESULT = "picture", "result"


def put_picture(job_id: str, data: bytes) -> None:
    """Hand over an uploaded picture."""
    store.get_redis().set(_key(job_id, PICTURE), data, ex=store.JOB_SECONDS)


def renew_picture(job_id: str) -> bool:
    """Keep it; False if it is gone."""
    return bool(store.get_redis().expire(_key(job_id, PICTURE), store.JOB_SECONDS))


def find_picture(job_id: str) -> bytes | None:
    """The uploaded picture, None once nobody waits."""
    found = store.get_redis().get(_key(job_id, PICTURE))
    return found if isinstance(found, bytes) else None


def put_result(job_id: str, worker: str, data: bytes) -> str:
    """Hand over what this worker made; the name by which it is found. Two workers at one job do not disturb each other."""
    name = f"{RESULT}:{worker}"
    store.get_redis().set(_key(job_id, name), data, ex=store.ANSWER_SECONDS)
    return name


def find_result(job_id: str, name: str) -> bytes | None:
    """What a worker made."""
    found = store.get_redis().get(_key(job_id, name))
    return found if isinstance(found, bytes) else None


def remove(job_id: str, *names: str) -> None:
    """Used, or wanted by nobody."""
    store.get_redis().delete(*(_key(job_id, name) for name in names))


def _key(job_id: str, name: str) -> str:
    return f"imaging:{{{job_id}}}:{name}"
