package labs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/layertar"
)

// The init layer of lab 16's container, and what a commit makes of it.

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
			d, err := openLayers(b, "docker", "overlay2")
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
