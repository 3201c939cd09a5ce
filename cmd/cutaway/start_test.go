package main

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What packages allocate while they are initialised is paid at every start of
// every stage of a container, of every lab's worker, in every guest. Allocations
// are counted, not time: they are the same on a busy machine.
const (
	ourAllocs, ourBytes     = 80, 6 << 10
	theirAllocs, theirBytes = 150, 20 << 10
)

// known are packages that need more, with about twice what they take now.
var known = map[string][2]int{
	"cutaway/nsdemo":                                  {250, 16 << 10},   // its forty verbs are registered
	"github.com/opencontainers/go-digest":             {1700, 190 << 10}, // compiles expressions
	"github.com/google/go-containerregistry/pkg/name": {600, 52 << 10},
	"github.com/hanwen/go-fuse/v2/fuse":               {520, 100 << 10}, // the table of its operations
	"github.com/olekukonko/errors":                    {700, 132 << 10}, // fills a pool
	"github.com/ulikunitz/xz":                         {10, 68 << 10},   // tables of CRC-64
}

// A package that is over its bound compiles expressions or fills tables when it
// is initialised: make them when they are first asked for (sync.OnceValue). If it
// is a library, think of another one.
func TestPackagesAreInitialisedCheaply(t *testing.T) {
	linked := map[string]bool{}
	for pkg, took := range initialised(t, "cutaway", "list") {
		linked[pkg] = true
		bound, isKnown := known[pkg]
		switch ours := strings.HasPrefix(pkg, "cutaway/") || pkg == "main"; {
		case isKnown:
		case ours:
			bound = [2]int{ourAllocs, ourBytes}
		default:
			bound = [2]int{theirAllocs, theirBytes}
		}
		if took[0] > bound[0] || took[1] > bound[1] {
			t.Errorf("package %s makes %d allocations of %d bytes while it is initialised; want at most %d of %d", pkg, took[0], took[1], bound[0], bound[1])
		}
	}
	for pkg := range known {
		if !linked[pkg] {
			t.Errorf("package %s is not part of the program any more; take it off the list", pkg)
		}
	}
}

// initialised are the allocations and bytes of each package of the program, as
// the runtime tells them (GODEBUG=inittrace=1, package runtime), in a run with
// these words, argv[0] being the first.
func initialised(t *testing.T, words ...string) map[string][2]int {
	t.Helper()
	cmd := exec.Command(buildOnce(t))
	cmd.Args = words
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v: %s", words, err, said.String())
	}
	found := map[string][2]int{}
	line := regexp.MustCompile(`(?m)^init (\S+) @.* clock, (\d+) bytes, (\d+) allocs$`)
	for _, m := range line.FindAllStringSubmatch(said.String(), -1) {
		bytes, _ := strconv.Atoi(m[2])
		allocs, _ := strconv.Atoi(m[3])
		found[m[1]] = [2]int{allocs, bytes}
	}
	if len(found) < 50 {
		t.Fatalf("the runtime told of %d packages; want all of them:\n%s", len(found), said.String())
	}
	return found
}

// The runtime's command line and the init stage of a container are served as soon
// as what packages oci and command import is ready. What they import by a slip,
// they wait for: a library whose name comes late in the alphabet makes them wait
// for all others before it. So what is slow, or comes late, may not be there yet.
func TestRuntimeWaitsForLittle(t *testing.T) {
	early := initialised(t, "cutaway", "oci", "--root", t.TempDir(), "list")
	if _, is := early["cutaway/minicontainer/oci"]; !is {
		t.Fatalf("package oci was not initialised, but %d others", len(early))
	}
	slow := slices.Collect(maps.Keys(known))
	for _, pkg := range append(slow, "regexp", "text/template", "net", "net/http", "main") {
		if _, is := early[pkg]; is && pkg != "github.com/ulikunitz/xz" { // its name and its imports come early
			t.Errorf("cutaway oci waits for package %s; `go list -deps cutaway/minicontainer/oci/command` may tell why", pkg)
		}
	}
}
