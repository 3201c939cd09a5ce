package spawn

// canShare says that clone keeps its way back where a child that shares the
// stack does not overwrite it.
const canShare = true

// clone is clone3(2).
//
//go:noescape
func clone(args *cloneArgs, size uintptr) (pid, errno uintptr)
