package probe

// A place is the kind of throwaway child that a live probe runs in.
type place string
