package calls

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/id32"
)

// table is the rows by number. Calls that take ids are those of 32 bits, see id32.
var table = [...]Call{
	unix.SYS_READ:         {Name: "read", Args: [6]Kind{Fd, OutNext, Int}, Result: Count},
	unix.SYS_WRITE:        {Name: "write", Args: [6]Kind{Fd, In, Int}, Result: Count},
	unix.SYS_PWRITE64:     {Name: "pwrite64", Args: [6]Kind{Fd, In, Int, Int}, Result: Count},
	unix.SYS_LSEEK:        {Name: "lseek", Args: [6]Kind{Fd, Int, Whence}, Result: Count},
	unix.SYS_FTRUNCATE:    {Name: "ftruncate", Args: [6]Kind{Fd, Int}},
	unix.SYS_SENDFILE:     {Name: "sendfile", Args: [6]Kind{Fd, Fd, Any, Int}, Result: Count},
	unix.SYS_GETDENTS64:   {Name: "getdents64", Args: [6]Kind{Fd, OutNext, Int}, Result: Count},
	unix.SYS_FSTATFS:      {Name: "fstatfs", Args: [6]Kind{Fd, OutStatfs}},
	unix.SYS_STATFS:       {Name: "statfs", Args: [6]Kind{Path, OutStatfs}},
	unix.SYS_STATX:        {Name: "statx", Args: [6]Kind{Dir, Path, At, StatxMask, OutStatx}},
	unix.SYS_IOCTL:        {Name: "ioctl", Args: [6]Kind{Fd, Ioctl, IoctlArg}, Least: 2, Result: Varies},
	unix.SYS_CLOSE:        {Name: "close", Args: [6]Kind{Fd}},
	unix.SYS_CLOSE_RANGE:  {Name: "close_range", Args: [6]Kind{Fd, FdMax, CloseRange}},
	unix.SYS_DUP:          {Name: "dup", Args: [6]Kind{Fd}, Result: NewFd},
	unix.SYS_DUP3:         {Name: "dup3", Args: [6]Kind{Fd, Fd, Open}, Result: SameFd},
	unix.SYS_MEMFD_CREATE: {Name: "memfd_create", Args: [6]Kind{Str, Memfd}, Result: NewFd},
	unix.SYS_SOCKET:       {Name: "socket", Args: [6]Kind{Af, SockType, Int}, Result: NewFd},
	Mmap:                  {Name: "mmap", Args: [6]Kind{Hex, Int, Hex, Hex, Fd, Int}, Result: Varies},

	// Paths.
	unix.SYS_OPENAT:     {Name: "openat", Args: [6]Kind{Dir, Path, Open, Mode}, Least: 3, Result: NewFd},
	unix.SYS_OPENAT2:    {Name: "openat2", Args: [6]Kind{Dir, Path, How, Int}, Result: NewFd},
	unix.SYS_MKDIRAT:    {Name: "mkdirat", Args: [6]Kind{Dir, Path, Mode}},
	unix.SYS_MKNODAT:    {Name: "mknodat", Args: [6]Kind{Dir, Path, Mode, Dev}},
	unix.SYS_SYMLINKAT:  {Name: "symlinkat", Args: [6]Kind{Str, Dir, Path}},
	unix.SYS_UNLINKAT:   {Name: "unlinkat", Args: [6]Kind{Dir, Path, AtUnlink}},
	unix.SYS_READLINKAT: {Name: "readlinkat", Args: [6]Kind{Dir, Path, OutNext, Int}, Result: Count},
	unix.SYS_FCHMODAT:   {Name: "fchmodat", Args: [6]Kind{Dir, Path, Mode}},
	unix.SYS_FCHOWNAT:   {Name: "fchownat", Args: [6]Kind{Dir, Path, Int, Int, At}},
	id32.Fchown:         {Name: "fchown", Args: [6]Kind{Fd, Int, Int}},
	unix.SYS_FACCESSAT:  {Name: "faccessat", Args: [6]Kind{Dir, Path, Access}},
	unix.SYS_FACCESSAT2: {Name: "faccessat2", Args: [6]Kind{Dir, Path, Access, AtAccess}},
	unix.SYS_FCHDIR:     {Name: "fchdir", Args: [6]Kind{Fd}},
	unix.SYS_GETCWD:     {Name: "getcwd", Args: [6]Kind{OutNext, Int}, Result: Count},
	unix.SYS_CHROOT:     {Name: "chroot", Args: [6]Kind{Path}},
	unix.SYS_UMASK:      {Name: "umask", Args: [6]Kind{Mode}, Result: Former},

	// Mounts.
	unix.SYS_MOUNT:          {Name: "mount", Args: [6]Kind{Str, Path, Str, Mount, Str}},
	unix.SYS_UMOUNT2:        {Name: "umount2", Args: [6]Kind{Path, Umount}},
	unix.SYS_PIVOT_ROOT:     {Name: "pivot_root", Args: [6]Kind{Path, Path}},
	unix.SYS_OPEN_TREE:      {Name: "open_tree", Args: [6]Kind{Dir, Path, Tree}, Result: NewFd},
	unix.SYS_OPEN_TREE_ATTR: {Name: "open_tree_attr", Args: [6]Kind{Dir, Path, Tree, MountAttr, Int}, Result: NewFd},
	unix.SYS_MOVE_MOUNT:     {Name: "move_mount", Args: [6]Kind{Dir, Path, Dir, Path, MoveMount}},
	unix.SYS_FSOPEN:         {Name: "fsopen", Args: [6]Kind{Str, FsOpen}, Result: NewFd},
	unix.SYS_FSCONFIG:       {Name: "fsconfig", Args: [6]Kind{Fd, FsConfig, Str, FsValue, Int}},
	unix.SYS_FSMOUNT:        {Name: "fsmount", Args: [6]Kind{Fd, FsMount, Attr}, Result: NewFd},
	unix.SYS_MOUNT_SETATTR:  {Name: "mount_setattr", Args: [6]Kind{Dir, Path, At, MountAttr, Int}},

	// Processes.
	unix.SYS_EXECVE:            {Name: "execve", Args: [6]Kind{Path, Strv, Strv}, Result: Never},
	unix.SYS_CLONE:             {Name: "clone", Args: [6]Kind{CloneFlags, Int, Int, Int, Int}, Result: Pid},
	unix.SYS_CLONE3:            {Name: "clone3", Args: [6]Kind{CloneArgs, Int}, Result: Pid},
	unix.SYS_WAIT4:             {Name: "wait4", Args: [6]Kind{Int, OutStatus, Wait, OutRusage}, Result: Pid},
	unix.SYS_UNSHARE:           {Name: "unshare", Args: [6]Kind{CloneFlags}},
	unix.SYS_SETNS:             {Name: "setns", Args: [6]Kind{Fd, CloneFlags}},
	unix.SYS_SETSID:            {Name: "setsid", Result: Pid},
	unix.SYS_SETPGID:           {Name: "setpgid", Args: [6]Kind{Int, Int}},
	id32.Setresuid:             {Name: "setresuid", Args: [6]Kind{Int, Int, Int}},
	id32.Setresgid:             {Name: "setresgid", Args: [6]Kind{Int, Int, Int}},
	id32.Setgroups:             {Name: "setgroups", Args: [6]Kind{Int, Groups}},
	unix.SYS_CAPSET:            {Name: "capset", Args: [6]Kind{CapHead, CapData}},
	unix.SYS_PRCTL:             {Name: "prctl", Args: [6]Kind{Prctl, PrctlArg, PrctlArg, PrctlArg, PrctlArg}, Least: 2, Result: Varies},
	unix.SYS_SECCOMP:           {Name: "seccomp", Args: [6]Kind{Seccomp, SeccompFlag, Fprog}, Result: Varies},
	unix.SYS_KEYCTL:            {Name: "keyctl", Args: [6]Kind{Keyctl, KeyctlArg, Any, Any, Any}, Least: 2, Result: Varies},
	unix.SYS_PRLIMIT64:         {Name: "prlimit64", Args: [6]Kind{Int, Resource, Rlimit, OutRlimit}},
	unix.SYS_PERSONALITY:       {Name: "personality", Args: [6]Kind{Personality}, Result: Former},
	unix.SYS_RT_SIGPROCMASK:    {Name: "rt_sigprocmask", Args: [6]Kind{SigHow, Sigset, OutNext, Int}},
	unix.SYS_RT_SIGACTION:      {Name: "rt_sigaction", Args: [6]Kind{Signal, Sigaction, OutSigaction, Int}},
	unix.SYS_SCHED_SETAFFINITY: {Name: "sched_setaffinity", Args: [6]Kind{Int, Int, Bits}},
	unix.SYS_SCHED_SETATTR:     {Name: "sched_setattr", Args: [6]Kind{Int, SchedAttr, Hex}},
	unix.SYS_SET_MEMPOLICY:     {Name: "set_mempolicy", Args: [6]Kind{MemPolicy, Nodes, Int}},
	unix.SYS_IOPRIO_SET:        {Name: "ioprio_set", Args: [6]Kind{IoWho, Int, IoPrio}},
	unix.SYS_SETHOSTNAME:       {Name: "sethostname", Args: [6]Kind{In, Int}},
	unix.SYS_SETDOMAINNAME:     {Name: "setdomainname", Args: [6]Kind{In, Int}},
}
