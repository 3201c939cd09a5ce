package aufs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMain lets the test binary play the programs that tests start: the FUSE
// server, and the worker that replays one record in namespaces of its own.
func TestMain(m *testing.M) {
	Main()
	if play, ok := roles[filepath.Base(os.Args[0])]; ok {
		play()
		return
	}
	os.Exit(m.Run())
}

var roles = map[string]func(){
	"aufs-test-record": replayFromStdin,
	"aufs-test-leaver": mountAndLeave,
}
