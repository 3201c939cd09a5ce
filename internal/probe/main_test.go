package probe

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testFunctions is set for children that shall also know how to fail.
const testFunctions = "CUTAWAY_PROBE_TEST_FUNCTIONS"

// TestMain lets the test binary be the probe child, and with testFunctions a
// child that can crash and hang.
func TestMain(m *testing.M) {
	if os.Args[0] == childName && os.Getenv(testFunctions) != "" && os.Args[1] == "serve" {
		functions := liveFunctions()
		functions["test-panic"] = func(*stage, string) Finding { panic("on purpose") }
		functions["test-kill"] = func(*stage, string) Finding { _ = unix.Kill(os.Getpid(), unix.SIGKILL); select {} }
		functions["test-hang"] = func(*stage, string) Finding { time.Sleep(time.Hour); return Finding{} }
		serve(place(os.Args[2]), functions)
		os.Exit(0)
	}
	Main()
	os.Exit(m.Run())
}
