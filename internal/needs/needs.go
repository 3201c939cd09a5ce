// Package needs ends a test for want of what a machine could have.
//
// A test that acts on the kernel, or that has a program of another maker as its
// judge, cannot run everywhere. Where something is missing it is skipped, and the
// skip says what to install or to switch on:
//
//	needs mkfs.btrfs (package btrfs-progs)
//
// A skip is easily overlooked, so a machine that is meant to have everything says
// so with CUTAWAY_REQUIRE=all: what is missing there fails the test. What no
// machine of this kind could have is no need, and stays a plain t.Skip.
//
// It is for tests only.
package needs

import (
	"os"
	"os/exec"
	"testing"
)

// Missing ends the test for want of what, which names the package or the kernel
// option that has it.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CUTAWAY_REQUIRE") == "all" {
		t.Fatalf("needs %s, and CUTAWAY_REQUIRE=all was asked for", what)
	}
	t.Skipf("needs %s", what)
}

// That ends the test unless ok.
func That(t testing.TB, ok bool, what string) {
	t.Helper()
	if !ok {
		Missing(t, what)
	}
}

// Root ends the test of an ordinary user.
func Root(t testing.TB) {
	t.Helper()
	That(t, os.Geteuid() == 0, "root: run the tests with sudo")
}

// Program finds a program in PATH, or names its package in Debian.
func Program(t testing.TB, name, debianPackage string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	That(t, err == nil, name+" (package "+debianPackage+")")
	return path
}

// File asks for a file; from is what brings it: "package busybox-static",
// "kernel option CONFIG_FUSE_FS".
func File(t testing.TB, path, from string) {
	t.Helper()
	_, err := os.Stat(path)
	That(t, err == nil, path+" ("+from+")")
}
