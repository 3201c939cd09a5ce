package labs

import (
	"encoding/json"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/internal/journal/mark"
	"cutaway/labs/bench"
	"cutaway/minicontainer/oci"
)

// The labs on the runtime share what stands here and in bundles_*.go: how a
// bundle comes about, how a container is run from it, in Go and by hand.

// bundle is a container of a lab. In the scratch folder there are
//
//	rootfs             the root file system that all share
//	NAME/config.json   its bundle
//	NAME.pid           its process, as the host knows it
//	NAME.out           what it prints
//	state/NAME         what the runtime remembers of it
type bundle struct {
	name string
	args []string // its program; the one that waits, without
	// change makes the config.json from the usual one, and filter says the same
	// to jq(1) for those who do it by hand.
	change func(*specs.Spec)
	filter string
}

// waits is a program that stays until it is told to go. It ends at SIGTERM,
// which pid 1 has to handle itself: the kernel does nothing by default there.
var waits = []string{"sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"}

// runtimeOf is the runtime with its state in the scratch folder.
func runtimeOf(b *bench.Bench) *oci.Runtime { return &oci.Runtime{Root: b.Path("state")} }

// ociLine is the same on the command line.
const ociLine = "cutaway oci --root state "

// group is the container's control group. The runtime makes it in every hierarchy.
func (x bundle) group() labGroup { return labGroup{name: x.name} }

func (x bundle) groupName(b *bench.Bench) string { return "cutaway-" + b.RunID() + "-" + x.name }

// baseSpec is the example of `cutaway oci spec` with what every container of
// the labs has.
func baseSpec(b *bench.Bench) *specs.Spec {
	s := oci.Example(b.Where == "userns")
	s.Process.Terminal = false
	s.Root.Path = "../rootfs"
	s.Process.Args = waits
	if b.Where == "userns" {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}
	// The mark by which the run's processes are found, should all else fail.
	s.Process.Env = append(s.Process.Env, mark.Variable+"="+b.RunID())
	return s
}

// spec is what goes into config.json.
func (x bundle) spec(b *bench.Bench) *specs.Spec {
	s := baseSpec(b)
	s.Hostname = x.name
	s.Linux.CgroupsPath = x.groupName(b)
	if len(x.args) > 0 {
		s.Process.Args = x.args
	}
	if x.change != nil {
		x.change(s)
	}
	return s
}

// write makes the bundle's folder with its config.json.
func (x bundle) write(b *bench.Bench) error {
	if err := os.MkdirAll(b.Path(x.name), 0o755); err != nil {
		return err
	}
	return writeJSON(b.Path(x.name, "config.json"), x.spec(b))
}

// writeLines make the bundle by hand, from base.json.
func (x bundle) writeLines(b *bench.Bench) []string {
	filters := []string{`.hostname="` + x.name + `"`, `.linux.cgroupsPath="` + x.groupName(b) + `"`}
	if len(x.args) > 0 {
		filters = append(filters, ".process.args="+asJSON(x.args))
	}
	if x.filter != "" {
		filters = append(filters, x.filter)
	}
	return []string{
		"mkdir " + x.name,
		"jq " + shellQuote(strings.Join(filters, " | ")) + " base.json > " + x.name + "/config.json",
	}
}

// writeBase writes what all bundles of a lab begin with, for shell lines.
func writeBase(b *bench.Bench) error { return writeJSON(b.Path("base.json"), baseSpec(b)) }

func baseLines(b *bench.Bench) []string {
	rootless, network := "", ""
	if b.Where == "userns" {
		rootless, network = " --rootless", ` | .linux.namespaces+=[{type:"network"}]`
	}
	return []string{
		"cutaway oci spec" + rootless,
		"jq " + shellQuote(`.process.terminal=false | .root.path="../rootfs" | .process.args=`+asJSON(waits)+
			` | .process.env+=["`+mark.Variable+"="+b.RunID()+`"]`+network) + " config.json > base.json",
	}
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// asJSON is JSON for people: "&" and "<" as they are.
func asJSON(v any) string {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.Encode(v) // plain strings: cannot fail
	return strings.TrimSpace(text.String())
}

// shellQuote makes one word of a text for sh.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// rootfsTools are what the shell lines of a root file system need.
var rootfsTools = []bench.Tool{bench.Mkdir, {Program: "busybox", Package: "busybox-static"}, {Program: "cp", Package: "coreutils"}, {Program: "ln", Package: "coreutils"}}

// bundleTools are what the shell lines of a bundle need.
var bundleTools = []bench.Tool{bench.Mkdir, {Program: "jq", Package: "jq"}, {Program: "mv", Package: "coreutils"}, cutawayTool}

// cutawayTool is this program: the walk puts it into the PATH of shell lines.
var cutawayTool = bench.Tool{Program: "cutaway", Package: "cutaway"}

// read is config.json as it is now.
func (x bundle) read(b *bench.Bench) (*specs.Spec, error) {
	text, err := os.ReadFile(b.Path(x.name, "config.json"))
	if err != nil {
		return nil, err
	}
	return oci.ParseSpec(text)
}
