package rootfs

import "slices"

// Options lists every mount option that is not left to the file system, sorted.
func Options() []string {
	known := []string{"bind", "rbind", "tmpcopyup", "idmap", "ridmap"}
	for o := range attrs() {
		known = append(known, o, "r"+o)
	}
	for o := range superOnly() {
		known = append(known, o)
	}
	for o := range propagations() {
		known = append(known, o, "r"+o)
	}
	slices.Sort(known)
	return known
}
