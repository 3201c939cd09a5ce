//go:build !amd64

package spawn

const canShare = false

func cloneSharing(*cloneArgs, uintptr) (pid, errno uintptr) {
	panic("spawn: no clone that shares memory")
}
