package spawn

// canShare says that cloneSharing exists for this processor.
const canShare = true

// cloneSharing is clone3(2) with CLONE_VM and CLONE_VFORK.
//
//go:noescape
func cloneSharing(args *cloneArgs, size uintptr) (pid, errno uintptr)
