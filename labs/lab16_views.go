package labs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// What lab 16 reads from Docker's folders: the store's layers, their short names,
// and the container's mount.

var overlayColumns = []string{"ID", "link", "in diff", "lower", "in work", "in merged"}

// overlayLayer is one folder of the store.
type overlayLayer struct{ id, role, link, lower string }

// listOverlay reads the store. A layer's place in the stack is the number of
// names in its file lower; a committed layer stands where the init layer does.
func listOverlay() ([]overlayLayer, error) {
	links, err := filepath.Glob(overlayHome + "/*/link")
	if err != nil {
		return nil, err
	}
	var layers []overlayLayer
	for _, path := range links {
		dir := filepath.Dir(path)
		link, errL := os.ReadFile(path)
		lower, err := os.ReadFile(dir + "/lower")
		if errL != nil || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(errL, err)
		}
		l := overlayLayer{id: filepath.Base(dir), link: string(link), lower: string(lower)}
		l.role = roleOf(l)
		layers = append(layers, l)
	}
	slices.SortFunc(layers, func(a, b overlayLayer) int {
		return slices.Index(overlayRoles(), a.role) - slices.Index(overlayRoles(), b.role)
	})
	return layers, nil
}

func overlayRoles() []string { return append(slices.Clone(roles), "committed layer") }

func roleOf(l overlayLayer) string {
	below := strings.Count(l.lower, "l/")
	switch {
	case strings.HasSuffix(l.id, "-init"):
		return "init layer"
	case below == len(dockerImage):
		return "committed layer"
	case below < len(roles):
		return roles[below]
	}
	return "unknown layer"
}

func readOverlayLayers(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	layers, err := listOverlay()
	var facts []evidence.Fact
	for _, l := range layers {
		dir := overlayHome + "/" + l.id
		lower := evidence.Absent
		if l.lower != "" {
			lower = shorten(l.lower)
		}
		facts = append(facts, evidence.F(l.role, "ls "+overlayHome+"/"+shortIDs(l.id)[0]+"*",
			shortIDs(l.id)[0], shorten(l.link), lies(dir+"/diff"), lower, lies(dir+"/work"), lies(dir+"/merged")))
	}
	return facts, err
}

// shorten keeps six characters of each short name, "l/" before it included or not.
func shorten(list string) string {
	var short []string
	for name := range strings.SplitSeq(list, ":") {
		dir, base := filepath.Split(name)
		short = append(short, dir+base[:min(6, len(base))])
	}
	return strings.Join(short, " ")
}

func readShortNames(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	layers, err := listOverlay()
	var facts []evidence.Fact
	for _, l := range layers {
		to, err := os.Readlink(overlayHome + "/l/" + l.link)
		if err != nil {
			return facts, err
		}
		value := "-> " + strings.Replace(to, l.id, shortIDs(l.id)[0]+"...", 1)
		facts = append(facts, evidence.F("short name of "+l.role, "readlink "+overlayHome+"/l/"+shorten(l.link)+"*", value))
	}
	return facts, err
}

// lowerIs claims that a layer's file lower has these layers' short names.
func lowerIs(claim, layer string, below ...string) evidence.Expectation {
	return evidence.Custom(claim, append([]string{layer}, below...), func(o evidence.Observed) evidence.Verdict {
		var want []string
		for _, role := range below {
			want = append(want, "l/"+o.After.Column(role, 1))
		}
		got := o.After.Column(layer, 3)
		return evidence.Judged(got == strings.Join(want, " "), strings.Join(want, " "), got)
	})
}

// idOf finds the folder of a layer by its role.
func idOf(role string) (string, error) {
	layers, err := listOverlay()
	if err != nil {
		return "", err
	}
	for _, l := range layers {
		if l.role == role {
			return l.id, nil
		}
	}
	return "", fmt.Errorf("%s holds no %s: %w", overlayHome, role, fs.ErrNotExist)
}

// readContainerMount reads the mount's options, with the store's path and the
// container's id left out.
func readContainerMount(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	id, err := idOf("container layer")
	if err != nil {
		return nil, err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(b.Path(overlayHome, id, "merged")))
	if err != nil || len(mounts) == 0 {
		return nil, err
	}
	options := strings.ReplaceAll(strings.ReplaceAll(mounts[0].VFSOptions, b.Path(overlayHome)+"/", ""), id+"/", "ID/")
	from := "grep merged /proc/self/mountinfo"
	return []evidence.Fact{
		evidence.F("lowerdir", from, shorten(mountOption(options, "lowerdir"))),
		evidence.F("upperdir", from, mountOption(options, "upperdir")),
		evidence.F("workdir", from, mountOption(options, "workdir")),
	}, nil
}
