package labs

import (
	"bytes"
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
	"cutaway/unionfs"
	"cutaway/unionfs/driver/overlay2"
	"cutaway/unionfs/layertar"
)

// The third part of lab 16: how Docker lays overlay2 layers out on disk.

const overlayHome = "docker/overlay2"

func openOverlay(b *bench.Bench, home string) (*overlay2.Driver, error) {
	return overlay2.Open(b.Path(home), overlay2.Options{Parameters: "/sys/module/overlay/parameters"})
}

// newShortName is the shell for a short name: 26 random characters.
const newShortName = `$(od -An -tx1 -N13 /dev/urandom | tr -d ' \n' | tr a-f A-F)`

// linkLines give a layer its short name.
func linkLines(id string) []string {
	return []string{"printf %s " + newShortName + " > " + id + "/link", "ln -s ../" + id + "/diff l/$(cat " + id + "/link)"}
}

var ln = bench.Tool{Program: "ln", Package: "coreutils"}

func overlayImageStep() bench.Step {
	return bench.Step{
		Name: "image-layers", Reproduces: []string{"ov-layout"},
		Do: func(_ context.Context, b *bench.Bench) error {
			d, err := openOverlay(b, overlayHome)
			if err != nil {
				return err
			}
			return createImage(d)
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				lines := []string{
					"mkdir -p " + overlayHome + "/l && cd " + overlayHome,
					"export one=" + newLayerID + " two=" + newLayerID,
					"mkdir -p $one/diff/etc $two/diff/etc $two/diff/opt $two/work",
					"echo from image1 | tee $one/diff/etc/motd $one/diff/etc/issue",
					"echo from image2 | tee $two/diff/etc/motd $two/diff/opt/tool",
				}
				lines = append(append(lines, linkLines("$one")...), linkLines("$two")...)
				return append(lines, "printf l/%s $(cat $one/link) > $two/lower", "touch $one/committed", "cd $LAB")
			},
			Tools: []bench.Tool{bench.Mkdir, ln, {Program: "touch", Package: "coreutils"}, od},
		},
		Look: []bench.View{
			{Title: "Docker's overlay2 folders, a row for each layer", Columns: overlayColumns, Read: readOverlayLayers},
			{Title: "the short names in the folder l", Read: readShortNames},
		},
		Expect: []evidence.Expectation{
			holdsAt("the bottom layer has a folder of files", "image layer 1", 2, "etc"),
			holdsAt("and nothing else that a mount would need", "image layer 1", 3, evidence.Absent),
			lowerIs("the upper layer names the one below it by its short name", "image layer 2", "image layer 1"),
			evidence.Custom("a short name is a symbolic link to the layer's files", []string{"image layer 1", "short name of image layer 1"},
				func(o evidence.Observed) evidence.Verdict {
					want, got := "-> ../"+o.After.Column("image layer 1", 0)+".../diff", o.After.Value("short name of image layer 1")
					return evidence.Judged(got == want && o.After.Value("image layer 1") != evidence.Absent, want, got)
				}),
			holdsAt("nothing is mounted for an image", "image layer 2", 5, evidence.Absent),
		},
	}
}

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
		return slices.Index(overlayRoles, a.role) - slices.Index(overlayRoles, b.role)
	})
	return layers, nil
}

var overlayRoles = append(slices.Clone(roles), "committed layer")

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

func overlayContainerStep() bench.Step {
	return bench.Step{
		Name: "container-layers", Reproduces: []string{"ov-layout"},
		Do: func(_ context.Context, b *bench.Bench) error {
			d, err := openOverlay(b, overlayHome)
			if err != nil {
				return err
			}
			top, err := idOf("image layer 2")
			if err != nil {
				return err
			}
			return createContainer(d, top)
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				extra := ""
				if b.Where == "userns" {
					extra = "userxattr,"
				}
				lines := []string{
					"cd " + overlayHome,
					"export top=$(basename $(dirname */lower)) id=" + newLayerID,
					"mkdir -p $id-init/diff $id-init/work $id/diff $id/work $id/merged",
				}
				lines = append(append(append(lines, fillInitLines("$id-init/diff")...), linkLines("$id-init")...), linkLines("$id")...)
				return append(lines,
					"printf l/%s:%s $(cat $top/link) $(cat $top/lower) > $id-init/lower",
					"printf l/%s:%s $(cat $id-init/link) $(cat $id-init/lower) > $id/lower",
					"export lower=$PWD/$(sed \"s,:,:$PWD/,g\" $id/lower)",
					"LIBMOUNT_FORCE_MOUNT2=always mount -t overlay overlay -o "+extra+"lowerdir=$lower,upperdir=$PWD/$id/diff,workdir=$PWD/$id/work $id/merged",
					"cd $LAB",
				)
			},
			Tools: []bench.Tool{bench.Mkdir, ln, bench.Mount, od, {Program: "sed", Package: "sed"}},
		},
		Look: []bench.View{
			{Title: "Docker's overlay2 folders, a row for each layer", Columns: overlayColumns, Read: readOverlayLayers},
			{Title: "the container's mount, as the kernel has it", Read: readContainerMount},
		},
		Expect: []evidence.Expectation{
			lowerIs("the container's file lower has the short names of all layers below, the nearest first", "container layer", "init layer", "image layer 2", "image layer 1"),
			evidence.Custom("lowerdir of the mount is that list", []string{"container layer", "lowerdir"}, func(o evidence.Observed) evidence.Verdict {
				want, got := o.After.Column("container layer", 3), o.After.Value("lowerdir")
				return evidence.Judged(want == got && want != evidence.Absent, want, got)
			}),
			evidence.Becomes("upperdir is the container's diff", "upperdir", evidence.Equals("ID/diff")),
			evidence.Becomes("workdir is the container's work", "workdir", evidence.Equals("ID/work")),
			holdsAt("merged shows all layers as one tree", "container layer", 5, ".dockerenv dev etc opt proc sys"),
			holdsAt("the container has written nothing yet", "container layer", 2, "(empty)"),
		},
	}
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

func overlayInitStep() bench.Step {
	return bench.Step{
		Name: "init-layer", Reproduces: []string{"ov-init-layer"},
		ByHand: bench.ByHand{
			Lines: bench.Lines("ls -lR " + overlayHome + "/*-init/diff"),
			Tools: []bench.Tool{{Program: "ls", Package: "coreutils"}},
		},
		Look: []bench.View{{Title: "the init layer, the container's own, and what the container sees", Columns: []string{"init layer", "container layer", "merged"}, Read: readInitLayer}},
		Expect: []evidence.Expectation{
			holdsAt("a place for the container's own list of name servers, empty here", "etc/resolv.conf", 0, "empty file"),
			holdsAt("one for its list of hosts", "etc/hosts", 0, "empty file"),
			holdsAt("one for its name", "etc/hostname", 0, "empty file"),
			holdsAt("one for its terminal", "dev/console", 0, "empty file"),
			holdsAt("the list of mounts is a link to what the kernel says", "etc/mtab", 0, "-> /proc/mounts"),
			evidence.ColumnsSame("the container sees them", "etc/hosts", 0, 2),
			holdsAt("they are not in the container's own layer", "etc/hosts", 1, evidence.Absent),
		},
	}
}

func readInitLayer(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	id, err := idOf("container layer")
	if err != nil {
		return nil, err
	}
	home := overlayHome + "/" + id
	paths := []string{"etc/resolv.conf", "etc/hosts", "etc/hostname", "etc/mtab", "dev/console", "dev", ".dockerenv"}
	facts, err := readSideBySide(paths, home+"-init/diff", home+"/diff", home+"/merged")(nil, nil)
	for i := range facts {
		facts[i].From = "ls -l " + overlayHome + "/*-init/diff/" + facts[i].Name
	}
	return facts, err
}

func overlayCommitStep() bench.Step {
	return bench.Step{
		Name: "commit", Reproduces: []string{"ov-init-layer"},
		Do: func(_ context.Context, b *bench.Bench) error {
			d, err := openOverlay(b, overlayHome)
			if err != nil {
				return err
			}
			container, errC := idOf("container layer")
			top, errT := idOf("image layer 2")
			if err := errors.Join(errC, errT); err != nil {
				return err
			}
			if err := appendLine(overlayHome+"/"+container+"/merged/etc/app.conf", "port=80"); err != nil {
				return err
			}
			return commitContainer(d, container, top)
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return append(append([]string{
					"cd " + overlayHome,
					"export id=$(basename *-init -init) new=" + newLayerID,
					"echo port=80 > $id/merged/etc/app.conf",
					"mkdir $new $new/work && cp -a $id/diff $new/diff",
				}, linkLines("$new")...),
					"cp $id-init/lower $new/lower",
					"cd $LAB",
				)
			},
			Tools: []bench.Tool{bench.Mkdir, ln, {Program: "cp", Package: "coreutils"}, od},
		},
		Look: []bench.View{
			{Title: "Docker's overlay2 folders, a row for each layer", Columns: overlayColumns, Read: readOverlayLayers},
			{Title: "what is in the committed layer", Read: readCommitted},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the new layer has the file that the container wrote", "etc/app.conf", evidence.Equals("port=80")),
			evidence.Becomes("and nothing else in etc: hosts, hostname and resolv.conf stayed behind", "etc", evidence.Equals("app.conf")),
			lowerIs("it stands on the image, not on the init layer", "committed layer", "image layer 2", "image layer 1"),
		},
	}
}

// commitContainer makes a new image layer from what the container wrote: its
// difference from the init layer, as a tar, into a layer on top of the image.
func commitContainer(d unionfs.Driver, container, top string) error {
	id := unionfs.NewID()
	if err := d.Create(id, top, unionfs.CreateOptions{}); err != nil {
		return err
	}
	var tar bytes.Buffer
	if err := d.Diff(container, container+"-init", &tar); err != nil {
		return err
	}
	_, err := d.Apply(id, &tar, layertar.Limits{})
	return err
}

func readCommitted(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	id, err := idOf("committed layer")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	dir := overlayHome + "/" + id + "/diff/"
	from := overlayHome + "/" + shortIDs(id)[0] + "*/diff/"
	return []evidence.Fact{
		evidence.F("etc", "ls -A "+from+"etc", lies(dir+"etc")),
		evidence.F("etc/app.conf", "cat "+from+"etc/app.conf", lies(dir+"etc/app.conf")),
	}, nil
}
