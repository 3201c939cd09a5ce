package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"

	"cutaway/internal/evidence"
	"cutaway/internal/probe"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/driver/overlay2"
)

// The end of lab 16: as many layers as Docker allows, and how their names get
// to the kernel.

const manyHome = "many/overlay2"

// manyID names a layer of the stack by its number from the bottom, 1.
func manyID(n int) string { return fmt.Sprintf("%064d", n) }

func overlayManyStep() bench.Step {
	top := overlay2.MaxDepth + 1
	return bench.Step{
		Name: "short-names", Reproduces: []string{"ov-short-names"},
		Do: func(_ context.Context, b *bench.Bench) error {
			d, err := openLayers(b, "many", "overlay2")
			if err != nil {
				return err
			}
			parent := ""
			for n := 1; n <= top; n++ {
				if err := d.Create(manyID(n), parent, unionfs.CreateOptions{}); err != nil {
					return err
				}
				parent = manyID(n)
			}
			_, err = d.Mount(parent, unionfs.MountOptions{})
			return err
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				extra := ""
				if b.Where == "userns" {
					extra = "userxattr,"
				}
				return []string{
					"mkdir -p " + manyHome + "/l && cd " + manyHome,
					fmt.Sprintf("mkdir -p $(printf '%%064d/diff ' $(seq %d))", top),
					fmt.Sprintf("lower=; for n in $(seq %d); do id=$(printf %%064d $n) link=$(printf L%%025d $n); printf %%s $link > $id/link; "+
						"[ -z \"$lower\" ] || printf %%s $lower > $id/lower; lower=l/$link${lower:+:$lower}; ln -s ../$id/diff l/$link; done", top),
					fmt.Sprintf("export top=%s && mkdir $top/work $top/merged", manyID(top)),
					"export lower=$PWD/$(sed \"s,:,:$PWD/,g\" $top/lower)",
					"printf %s $lower | wc -c",
					"LIBMOUNT_FORCE_MOUNT2=always mount -t overlay overlay -o " + extra + "lowerdir=$lower,upperdir=$PWD/$top/diff,workdir=$PWD/$top/work $top/merged && umount $top/merged || true",
					"LIBMOUNT_FORCE_MOUNT2=always mount -t overlay overlay -o " + extra + "lowerdir=$(cat $top/lower),upperdir=$top/diff,workdir=$top/work $top/merged",
					"cd $LAB",
				}
			},
			Tools: []bench.Tool{bench.Mkdir, ln, bench.Mount, bench.Umount, {Program: "sed", Package: "sed"}},
		},
		Look: []bench.View{
			{Title: "one stack, its folders named in two ways", Columns: []string{"full paths", "short names"}, Read: readMany},
			{Title: "one layer more", Read: readOneMore},
		},
		Expect: []evidence.Expectation{
			evidence.Custom("with full paths the options do not fit into a page of 4096 bytes", []string{"bytes of options"}, func(o evidence.Observed) evidence.Verdict {
				n, ok := evidence.Number(o.After.Column("bytes of options", 0))
				return evidence.Judged(ok && n >= overlay2.Page, "4096 or more", o.After.Column("bytes of options", 0))
			}),
			evidence.Custom("with short names they do", []string{"bytes of options"}, func(o evidence.Observed) evidence.Verdict {
				n, ok := evidence.Number(o.After.Column("bytes of options", 1))
				return evidence.Judged(ok && n < overlay2.Page && n > 0, "less than 4096", o.After.Column("bytes of options", 1))
			}),
			cutOff(),
			holdsAt("with short names all 128 layers are in the mount", "layers below, as mounted by mount(2)", 1, fmt.Sprint(overlay2.MaxDepth)),
			evidence.Becomes("one layer more is refused by the driver, as by Docker", "layer 130", evidence.Contains("overlay2 takes 128")),
		},
	}
}

// cutOff claims that mount(2) did not see all layers. (Where a page is larger
// than 4096 bytes, the options may fit into it.)
func cutOff() evidence.Expectation {
	const bytes, mounted = "bytes of options", "layers below, as mounted by mount(2)"
	return evidence.Custom("mount(2) with full paths cannot mount the whole stack", []string{bytes, mounted}, func(o evidence.Observed) evidence.Verdict {
		n, ok := evidence.Number(o.After.Column(bytes, 0))
		got := o.After.Column(mounted, 0)
		fits := int(n) < os.Getpagesize()
		return evidence.Judged(ok && got != evidence.Absent && (fits || got != fmt.Sprint(overlay2.MaxDepth)), "an error, or fewer layers", got)
	})
}

// manySpec is the stack of all layers, to be looked at without writing: with no
// upper folder the same folders can be mounted again elsewhere.
func manySpec(b *bench.Bench) (overlay2.Spec, error) {
	lower, err := os.ReadFile(filepath.Join(manyHome, manyID(overlay2.MaxDepth+1), "lower"))
	s := overlay2.Spec{Home: b.Path(manyHome), Lowers: strings.Split(string(lower), ":")}
	if b.Where == "userns" {
		s.Extra = []string{"userxattr"}
	}
	return s, err
}

func readMany(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	spec, err := manySpec(b)
	if err != nil {
		return nil, err
	}
	byPath, err := tryStack(b, spec.MountAbsolute)
	if err != nil {
		return nil, err
	}
	return []evidence.Fact{
		evidence.F("bytes of options", "wc -c "+manyHome+"/*129/lower", fmt.Sprint(len(spec.Options(true))), fmt.Sprint(len(spec.Options(false)))),
		evidence.F("layers below, as mounted by mount(2)", "/proc/self/mountinfo", byPath, lowersMounted(b.Path(manyHome, manyID(overlay2.MaxDepth+1), "merged"))),
	}, nil
}

// tryStack mounts on a folder of its own and takes the mount away again: the
// number of lower folders that the kernel mounted, or its errno.
func tryStack(b *bench.Bench, mount func(target string) error) (string, error) {
	target := b.Path("trial")
	if err := os.Mkdir(target, 0o755); err != nil {
		return "", err
	}
	if err := mount(target); err != nil {
		return answer(err), os.Remove(target)
	}
	return lowersMounted(target), errors.Join(unionfs.Unmount(target), os.Remove(target))
}

// lowersMounted counts the lower folders of an overlay in mountinfo.
func lowersMounted(target string) string {
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(target))
	if err != nil || len(mounts) == 0 {
		return orAnswer(evidence.Absent, err)
	}
	return fmt.Sprint(strings.Count(mounts[0].VFSOptions, "/l/") + strings.Count(mounts[0].VFSOptions, "=l/") + strings.Count(mounts[0].VFSOptions, ":l/"))
}

// readOneMore asks the driver for a layer on top of the topmost one.
func readOneMore(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	if _, err := os.Stat(filepath.Join(manyHome, manyID(overlay2.MaxDepth+1))); err != nil {
		return nil, err
	}
	d, err := openLayers(b, "many", "overlay2")
	if err != nil {
		return nil, err
	}
	id, value := manyID(overlay2.MaxDepth+2), "made"
	if err := d.Create(id, manyID(overlay2.MaxDepth+1), unionfs.CreateOptions{}); err != nil {
		_, why, _ := strings.Cut(err.Error(), ": ")
		value = "refused: " + why
	}
	return []evidence.Fact{evidence.F("layer 130", "cutaway's driver overlay2", value)}, d.Remove(id)
}

func overlayFsconfigStep() bench.Step {
	return bench.Step{
		Name: "fsconfig", Reproduces: []string{"ov-short-names"}, Needs: needs("overlay.lowerdir-append"), Extra: true,
		Do: func(ctx context.Context, b *bench.Bench) error {
			spec, err := manySpec(b)
			if err := errors.Join(err, oneByOne(ctx)); err != nil {
				return err
			}
			if err := os.Mkdir("all", 0o755); err != nil {
				return err
			}
			return spec.MountFsconfig(b.Path("all"))
		},
		ByHand: bench.ByHand{None: "mount(8) hands over one option at a time, by fsconfig(2), only since util-linux 2.39; before, all options go to mount(2) at once"},
		Look:   []bench.View{{Title: "the same stack by full paths, one option at a time", Read: readFsconfig}},
		Expect: []evidence.Expectation{
			evidence.Becomes("all 128 layers are in the mount", "layers in the mount", evidence.Equals(fmt.Sprint(overlay2.MaxDepth))),
			evidence.Becomes("though their paths are longer than a page", "bytes of lowerdir in mountinfo", evidence.AtLeast(overlay2.Page)),
		},
	}
}

// oneByOne asks again whether the kernel has lowerdir+: before the lab, when
// overlay may have been a module not loaded yet, it could not say.
func oneByOne(ctx context.Context) error {
	for _, r := range probe.Run(ctx, probe.Options{}, "overlay.lowerdir-append") {
		if r.State != probe.Yes {
			return &evidence.CannotTest{Reason: "this kernel takes lower folders all at once only (lowerdir+ came with Linux 6.5)", WayOut: "run it on a newer kernel"}
		}
	}
	return nil
}

func readFsconfig(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(b.Path("all")))
	if err != nil || len(mounts) == 0 {
		return nil, err
	}
	return []evidence.Fact{
		evidence.F("layers in the mount", "grep /all /proc/self/mountinfo", lowersMounted(b.Path("all"))),
		evidence.F("bytes of lowerdir in mountinfo", "grep /all /proc/self/mountinfo | wc -c", fmt.Sprint(len(mounts[0].VFSOptions))),
	}, nil
}
