package aufs

import (
	"os"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// posixExceptions are tests of go-fuse's suite that cannot pass here.
var posixExceptions = map[string]string{
	"FcntlFlockLocksFile": "it wants two descriptors of one process to exclude each other with POSIX locks, which belong to the process: " +
		"no local file system does so. Locks are kept by the kernel here, as on any local one",
}

func TestPosix(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		l := newLab(t, dir, "")
		put(l.ro+"/lower/f", "lower")
		for name, test := range posixtest.All {
			t.Run(name, func(t *testing.T) {
				if why, ok := posixExceptions[name]; ok {
					t.Log("not run: " + why)
					return
				}
				// Once in a folder of the rw branch, once in a lower one.
				test(t, mkdir(l.mnt+"/"+name))
				sub := l.ro + "/lower/" + name
				must(os.MkdirAll(sub, 0o755))
				test(t, l.mnt+"/lower/"+name)
			})
		}
	})
}
