"""Mounts EROFS metadata with its extra devices by fsopen(2) and its family: files as they are,
with no loop device in between. mount(8) would set one up."""

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 429, 430, 431, 432  # the same on every architecture
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_AT_FDCWD, _MOVE_EMPTY_PATH = -100, 4
_ATTR_RDONLY = 1


def _call(number, *arguments):
    result = _LIBC.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _text(value):
    return ctypes.c_char_p(os.fsencode(str(value)))


def mount_erofs(metadata, devices, target):
    """Mounts the image file `metadata` over the files `devices`, read-only, on `target`."""
    context = _call(_FSOPEN, _text("erofs"), ctypes.c_uint(1))
    try:
        def config(command, key=None, value=None):
            _call(_FSCONFIG, ctypes.c_int(context), ctypes.c_uint(command),
                  _text(key) if key else None, _text(value) if value else None, ctypes.c_int(0))

        try:
            config(_SET_FLAG, "ro")
            config(_SET_STRING, "source", metadata)
            for device in devices:
                config(_SET_STRING, "device", device)
            config(_CREATE)
        except OSError as error:
            try:
                said = os.read(context, 4096).decode(errors="replace").strip()
            except OSError:
                said = ""
            raise OSError(error.errno, f"{error.strerror}: {said}") from None
        mount = _call(_FSMOUNT, ctypes.c_int(context), ctypes.c_uint(1), ctypes.c_uint(_ATTR_RDONLY))
    finally:
        os.close(context)
    try:
        _call(_MOVE_MOUNT, ctypes.c_int(mount), _text(""), ctypes.c_int(_AT_FDCWD), _text(target),
              ctypes.c_uint(_MOVE_EMPTY_PATH))
    finally:
        os.close(mount)


def unmount(target):
    if _LIBC.umount2(_text(target), ctypes.c_int(0)) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
