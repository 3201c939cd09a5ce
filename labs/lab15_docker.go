package labs

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/aufs"
)

// The end of lab 15: how Docker laid AUFS layers out on disk.

const aufsHome = "docker/aufs"

func aufsImageStep() bench.Step {
	return bench.Step{
		Name: "image-layers", Reproduces: []string{"aufs-layout"},
		Do: func(_ context.Context, b *bench.Bench) error {
			d, err := openLayers(b, "docker", "aufs")
			if err != nil {
				return err
			}
			return createImage(d)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"mkdir -p "+aufsHome+"/diff "+aufsHome+"/layers "+aufsHome+"/mnt && cd "+aufsHome,
				"export one="+newLayerID+" two="+newLayerID,
				"mkdir -p diff/$one/etc diff/$two/etc diff/$two/opt mnt/$one mnt/$two",
				"echo from image1 | tee diff/$one/etc/motd diff/$one/etc/issue",
				"echo from image2 | tee diff/$two/etc/motd diff/$two/opt/tool",
				"touch layers/$one && echo $one > layers/$two",
				"cd $LAB",
			),
			Tools: []bench.Tool{bench.Mkdir, od, {Program: "touch", Package: "coreutils"}},
		},
		Look: []bench.View{{Title: "Docker's three folders, a row for each layer", Columns: aufsColumns, Read: readAufsLayers}},
		Expect: []evidence.Expectation{
			holdsAt("the bottom layer's files are in diff/ID", "image layer 1", 1, "etc"),
			holdsAt("layers/ID of the bottom layer is empty", "image layer 1", 2, "empty file"),
			listsBelow("layers/ID of the layer above it names the one below", "image layer 2", "image layer 1"),
			holdsAt("mnt/ID is there and empty: nothing is mounted for an image", "image layer 2", 3, "(empty)"),
		},
	}
}

var aufsColumns = []string{"ID", "in diff/ID", "in layers/ID", "in mnt/ID"}

// roles name layers by their place in the stack, as their ids are random.
var roles = []string{"image layer 1", "image layer 2", "init layer", "container layer"}

// readAufsLayers reads the three folders. A layer's place in the stack is the
// number of lines in its file in layers.
func readAufsLayers(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	files, err := filepath.Glob(aufsHome + "/layers/*")
	if err != nil {
		return nil, err
	}
	facts := make([]evidence.Fact, 0, len(files))
	for _, file := range files {
		below, err := linesOf(file)
		if err != nil || len(below) >= len(roles) {
			return facts, fmt.Errorf("%s: %d layers below: %w", file, len(below), err)
		}
		id := filepath.Base(file)
		list := "empty file"
		if len(below) > 0 {
			list = strings.Join(shortIDs(below...), " ")
		}
		facts = append(facts, evidence.F(roles[len(below)], "ls "+aufsHome+"/*/"+shortIDs(id)[0]+"*",
			shortIDs(id)[0], withoutAufsNames(names(aufsHome+"/diff/"+id)), list, names(aufsHome+"/mnt/"+id)))
	}
	slices.SortFunc(facts, func(a, b evidence.Fact) int { return slices.Index(roles, a.Name) - slices.Index(roles, b.Name) })
	return facts, nil
}

// withoutAufsNames leaves out the three names that AUFS makes in each folder
// that it ever had as a rw branch: they say nothing of the layer.
func withoutAufsNames(list string) string {
	rest := slices.DeleteFunc(strings.Fields(list), func(name string) bool { return strings.HasPrefix(name, ".wh..wh.") })
	if len(rest) == 0 {
		return "(empty)"
	}
	return strings.Join(rest, " ")
}

func linesOf(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines, nil
}

// shortIDs keeps eight digits of each id, and what tells an init layer.
func shortIDs(ids ...string) []string {
	var short []string
	for _, id := range ids {
		digits, init, _ := strings.Cut(id, "-")
		s := digits[:min(8, len(digits))]
		if init != "" {
			s += "-" + init
		}
		short = append(short, s)
	}
	return short
}

// listsBelow claims that a layer's file names exactly these layers, in order.
func listsBelow(claim, layer string, below ...string) evidence.Expectation {
	return evidence.Custom(claim, append([]string{layer}, below...), func(o evidence.Observed) evidence.Verdict {
		var want []string
		for _, role := range below {
			want = append(want, o.After.Column(role, 0))
		}
		got := o.After.Column(layer, 2)
		return evidence.Judged(got == strings.Join(want, " ") && got != evidence.Absent, strings.Join(want, " "), got)
	})
}

func aufsContainerStep() bench.Step {
	return bench.Step{
		Name: "container-layers", Reproduces: []string{"aufs-layout"},
		Do: func(_ context.Context, b *bench.Bench) error {
			d, err := openLayers(b, "docker", "aufs")
			if err != nil {
				return err
			}
			top, err := topOf(d)
			if err != nil {
				return err
			}
			return createContainer(d, top)
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				lines := []string{
					"cd " + aufsHome,
					"export top=$(basename $(grep -l . layers/*)) id=" + newLayerID,
					"mkdir diff/$id-init diff/$id mnt/$id-init mnt/$id",
				}
				lines = append(lines, fillInitLines("diff/$id-init")...)
				return append(lines,
					"(echo $top; cat layers/$top) > layers/$id-init",
					"(echo $id-init; cat layers/$id-init) > layers/$id",
					"export branches=diff/$id=rw$(for below in $(cat layers/$id); do printf :diff/$below=ro+wh; done)",
					mountAufsLine("mnt/$id", "br:$branches"),
					"cd $LAB",
				)
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Cat, {Program: "basename", Package: "coreutils"}, cutaway(), {Program: "ln", Package: "coreutils"}},
		},
		Look: []bench.View{
			{Title: "Docker's three folders, a row for each layer", Columns: aufsColumns, Read: readAufsLayers},
			{Title: "the container's mount", Read: readAufsMount},
		},
		Expect: []evidence.Expectation{
			holdsAt("the init layer holds what the runtime will mount things over", "init layer", 1, ".dockerenv dev etc proc sys"),
			listsBelow("layers/ID of the container names all layers below, the nearest first", "container layer", "init layer", "image layer 2", "image layer 1"),
			holdsAt("mnt/ID of the container shows all layers as one tree", "container layer", 3, ".dockerenv dev etc opt proc sys"),
			evidence.Becomes("one AUFS is mounted in mnt, the container's", "mounts in mnt", evidence.Equals("1")),
			evidence.Becomes("its branches are the four folders of diff, the container's own rw", "branches", evidence.Equals("rw ro+wh ro+wh ro+wh")),
			holdsAt("the container's own layer is empty", "container layer", 1, "(empty)"),
			evidence.Keeps("the image's layers are what they were", "image layer 1"),
			evidence.Keeps("also the upper one", "image layer 2"),
		},
	}
}

// topOf is the image's topmost layer: the one with a line in its layers file.
func topOf(d unionfs.Driver) (string, error) {
	ids, err := d.List()
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		if below, err := linesOf(filepath.Join(d.Home(), "layers", id)); err != nil || len(below) == len(dockerImage)-1 {
			return id, err
		}
	}
	return "", fmt.Errorf("%s holds no image of %d layers", d.Home(), len(dockerImage))
}

// readAufsMount finds what is mounted in mnt.
func readAufsMount(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	dirs, err := filepath.Glob(aufsHome + "/mnt/*")
	if err != nil || len(dirs) == 0 {
		return nil, err
	}
	mounts, perms := 0, ""
	for _, dir := range dirs {
		if is, err := unionfs.IsMountPoint(dir); err != nil || !is {
			continue
		}
		mounts++
		if perms, err = branchPerms(dir); err != nil {
			return nil, err
		}
	}
	facts := []evidence.Fact{evidence.F("mounts in mnt", "grep "+aufsHome+"/mnt /proc/self/mountinfo", fmt.Sprint(mounts))}
	if mounts > 0 {
		facts = append(facts, evidence.F("branches", "cutaway aufs branches "+aufsHome+"/mnt/ID", perms))
	}
	return facts, nil
}

func branchPerms(target string) (string, error) {
	union, err := aufs.Find(target)
	if err != nil {
		return "", err
	}
	state, err := union.State()
	var perms []string
	for _, br := range state.Branches {
		perms = append(perms, br.Perm)
	}
	return strings.Join(perms, " "), err
}
