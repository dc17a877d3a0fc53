"""Ways out that trusted code may try. `SOURCE` is a network file that tries them all when it is imported."""

from __future__ import annotations

from tests import packages

SAID = {
    "read a file of the user": "read your files",
    "list a folder of the user": "read your files",
    "read the environment of another program": "read your files and the environment",
    "watch a folder of the user": "watch them",
    "start a program": "start programs",
    "fork": "start programs",
    "start a daemon": "start programs",
    "send a datagram": "send datagrams",
    "connect to a local socket": "local sockets",
    "connect to an abstract socket": "local sockets",
    "write to a local socket through a pair": "local sockets",
    "change the rights of a file": "change rights and times",
    "change the times of a file": "change rights and times",
    "take memory that is shared": "take memory",
    "take a file in memory": "take memory",
    "raise a limit": "take memory",
    "connect over TCP": "open TCP connections",
    "signal another program": "signal your other programs",
    "slow another program down": "slow your other programs",
    "read the memory of another program": "signal your other programs",
    "keep a secret in the kernel": "the kernel's keys",
    "speak to the kernel through a ring": "keys and rings",
    "seal, mark or copy a file that it only reads": "change rights and times",
    "take disk that no file shows": "take memory",
    "leave by the root of another program": "read your files",
    "stop whoever asked it": "signal your other programs",
    "trace whoever asked it": "signal your other programs",
}
"""Probe → part of the sentence that `seg models trust` says where it gets out. All others never do."""

SOURCE = (
    packages.NET
    + """
import ctypes, fcntl, json, mmap, os, resource, signal, socket, subprocess, threading

W = json.loads(open(os.path.join(os.path.dirname(torch.__file__), "version.py")).read() and WANTED)
libc = ctypes.CDLL(None, use_errno=True)


def write(path, mode="w"):
    with open(path, mode) as stream:
        stream.write("x")


def by_a_thread():
    done = []
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            done.append(task)
    assert done


def rename():
    os.rename(W["file"], W["file"] + ".moved")


def through(link):
    link(W["file"], "way")
    write("way", "a")


def tcp():
    socket.create_connection(("127.0.0.1", W["tcp"]), 1)


def datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", W["udp"]))


def local(address):
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(address)


def pair():
    socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", W["datagrams"])


def fork():
    if os.fork() == 0:
        os._exit(0)


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        try:
            write(W["folder"] + "/daemon")
        finally:
            os._exit(0)
    os.wait()


def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def watch():
    call(254 if os.uname().machine == "x86_64" else 27, libc.inotify_init(), W["folder"].encode(), 0x2)


def memory(flags):
    mmap.mmap(-1, W["memory"], flags).close()


def many_files():
    kept = [open(os.devnull) for _ in range(400)]


def raise_limit():
    resource.setrlimit(resource.RLIMIT_DATA, (resource.getrlimit(resource.RLIMIT_DATA)[0] // 2,) * 2)


def peek():
    class Piece(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    here, there = ctypes.create_string_buffer(8), W["address"]
    one, other = Piece(ctypes.addressof(here), 8), Piece(there, 8)
    if libc.process_vm_readv(W["process"], ctypes.byref(one), 1, ctypes.byref(other), 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def inherited():
    for number in range(3, 1024):
        try:
            if os.path.samestat(os.fstat(number), os.stat(W["lent"])):
                return
        except OSError:
            continue
    raise OSError("none")


def nameless():
    return os.open(".", os.O_TMPFILE | os.O_RDWR)


def in_memory():
    number = os.memfd_create("x")
    os.write(number, open("/bin/true", "rb").read())
    subprocess.run([f"/proc/self/fd/{number}"], check=True, pass_fds=[number])


X86 = os.uname().machine == "x86_64"
PROBES = {
    "write a file of the user": lambda: write(W["file"], "a"),
    "write a new file": lambda: write(W["folder"] + "/new"),
    "write from a thread that was there before": by_a_thread,
    "make a folder": lambda: os.mkdir(W["folder"] + "/made"),
    "remove a file": lambda: os.remove(W["file"]),
    "rename a file": rename,
    "write through a symbolic link": lambda: through(os.symlink),
    "write through a hard link": lambda: through(os.link),
    "truncate a file": lambda: os.truncate(W["file"], 0),
    "take more memory than it may": lambda: memory(mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS),
    "open hundreds of files": many_files,
    "read a file of the user": lambda: open(W["file"]).read(),
    "list a folder of the user": lambda: os.listdir(W["folder"]),
    "read the environment of another program": lambda: open(f"/proc/{W['process']}/environ").read(),
    "watch a folder of the user": watch,
    "start a program": lambda: subprocess.run(["true"], check=True),
    "fork": fork,
    "start a daemon": daemon,
    "connect over TCP": tcp,
    "send a datagram": datagram,
    "connect to a local socket": lambda: local(W["socket"]),
    "connect to an abstract socket": lambda: local("\\0" + W["abstract"]),
    "write to a local socket through a pair": pair,
    "change the rights of a file": lambda: os.chmod(W["file"], 0o600),
    "change the times of a file": lambda: os.utime(W["file"], (1, 1)),
    "signal another program": lambda: os.kill(W["process"], signal.SIGCONT),
    "slow another program down": lambda: os.setpriority(os.PRIO_PROCESS, W["process"], 19),
    "read the memory of another program": peek,
    "take memory that is shared": lambda: memory(mmap.MAP_SHARED | mmap.MAP_ANONYMOUS),
    "take a file in memory": lambda: os.memfd_create("x"),
    "raise a limit": raise_limit,
    "keep a secret in the kernel": lambda: call(248, b"user", b"seg", b"x", 1, -5),
    "speak to the kernel through a ring": lambda: call(425, 4, ctypes.create_string_buffer(512)),
    "use what its parent has open": inherited,
    "write into the memory of its parent": lambda: os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR),
    "take what its parent has open": lambda: os.open(f"/proc/{os.getppid()}/fd/1", os.O_WRONLY),
    "start a program in memory": in_memory,
    "stop whoever asked it": lambda: os.kill(os.getppid(), signal.SIGCONT),
    "trace whoever asked it": lambda: call(101 if X86 else 117, 0x4206, os.getppid(), 0, 0),
    "leave a file in shared memory": lambda: write("/dev/shm/seg-probe-" + W["abstract"]),
    "seal, mark or copy a file that it only reads": lambda: fcntl.ioctl(os.open(os.__file__, 0), 0x80086601, bytes(8)),
    "take disk that no file shows": lambda: call(285 if X86 else 47, nameless(), 1, 0, 2**20),
    "speak for its parent": lambda: write(f"/proc/{os.getppid()}/comm"),
    "leave by the root of another program": lambda: os.listdir(f"/proc/{W['process']}/root" + W["folder"]),
    "write through its own root": lambda: write("/proc/self/root" + W["file"], "a"),
}
found = ""
for name, probe in PROBES.items():
    try:
        probe()
        found += "1"
    except BaseException:
        found += "0"
raise ValueError("found " + found)
"""
)
NAMES = [line.split('"')[1] for line in SOURCE.splitlines() if line.startswith('    "') and ": " in line]
