package seccomp

// ipcCall is set in what muxed returns for a call of ipc(2); the others are of
// socketcall(2).
const ipcCall = 0x100

// muxed returns the first argument with which socketcall(2) or ipc(2) makes the call
// of this name, or 0.
//
// Source: socketcall(2), ipc(2); linux/net.h, linux/ipc.h.
func muxed(name string) int {
	switch name {
	case "socket":
		return 1
	case "bind":
		return 2
	case "connect":
		return 3
	case "listen":
		return 4
	case "accept":
		return 5
	case "getsockname":
		return 6
	case "getpeername":
		return 7
	case "socketpair":
		return 8
	case "send":
		return 9
	case "recv":
		return 10
	case "sendto":
		return 11
	case "recvfrom":
		return 12
	case "shutdown":
		return 13
	case "setsockopt":
		return 14
	case "getsockopt":
		return 15
	case "sendmsg":
		return 16
	case "recvmsg":
		return 17
	case "accept4":
		return 18
	case "recvmmsg":
		return 19
	case "sendmmsg":
		return 20
	case "semop":
		return ipcCall + 1
	case "semget":
		return ipcCall + 2
	case "semctl":
		return ipcCall + 3
	case "semtimedop":
		return ipcCall + 4
	case "msgsnd":
		return ipcCall + 11
	case "msgrcv":
		return ipcCall + 12
	case "msgget":
		return ipcCall + 13
	case "msgctl":
		return ipcCall + 14
	case "shmat":
		return ipcCall + 21
	case "shmdt":
		return ipcCall + 22
	case "shmget":
		return ipcCall + 23
	case "shmctl":
		return ipcCall + 24
	}
	return 0
}

// Slots of the multiplexers, the same on all architectures that have them.
const (
	slotSocketcall = 102
	slotIPC        = 117
)
