package labs

import (
	"context"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// The third part of lab 16: how Docker lays overlay2 layers out on disk.

const overlayHome = "docker/overlay2"

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
			d, err := openLayers(b, "docker", "overlay2")
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

func overlayContainerStep() bench.Step {
	return bench.Step{
		Name: "container-layers", Reproduces: []string{"ov-layout"},
		Do: func(_ context.Context, b *bench.Bench) error {
			d, err := openLayers(b, "docker", "overlay2")
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
