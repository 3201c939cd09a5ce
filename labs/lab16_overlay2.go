package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/internal/ground"
	"cutaway/internal/probe"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/driver/overlay2"
	projectquota "cutaway/unionfs/quota"
)

// overlay2Lab is lab 16: layers, as Docker stacks them today.
func overlay2Lab() bench.Lab {
	return bench.Lab{ID: "16", Name: "overlay2", Needs: needs("overlay.works"), Steps: []bench.Step{
		overlayNeedsStep(),
		overlayGhostStep(),
		overlayMountStep(),
		overlayReadStep(),
		overlayWriteStep(),
		overlayCopyStep(),
		overlayAgainStep(),
		overlayWhiteoutStep(),
		overlayFolderStep(),
		overlayOpaqueStep(),
		overlayImageStep(),
		overlayContainerStep(),
		overlayInitStep(),
		overlayCommitStep(),
		overlayManyStep(),
		overlayFsconfigStep(),
	}}
}

func overlayNeedsStep() bench.Step {
	return bench.Step{
		Name: "needs", Reproduces: []string{"ov-prereq"},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return []string{
					"mkdir lower upper work merged",
					"mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged && umount merged",
					"rm -r lower upper work merged",
					"grep overlay /proc/filesystems",
					"stat -f -c '%T' . " + ground.Existing(stateRoot(b)),
					executable() + " check --plain overlay.works dir.d-type dir.quota | grep -m 3 -E '(overlay.works|dir.d-type|dir.quota)'",
				}
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Mount, rm, bench.Grep, {Program: "stat", Package: "coreutils"}, cutaway()},
		},
		Look: []bench.View{
			{Title: "the kernel", Read: readOverlayKernel},
			{Title: "two folders that layers could be kept in", Columns: []string{"scratch folder", "state folder"}, Read: readOverlayFolders},
		},
		Expect: []evidence.Expectation{
			evidence.Is("the kernel knows overlay", "overlay in /proc/filesystems", evidence.Equals("yes")),
			evidence.Is("mounting, deleting and making a folder again work", "tried: mount, whiteout, opaque folder", evidence.Equals("yes")),
			holdsAt("the scratch folder stores file types with names (d_type)", "d_type", 0, "yes"),
			holdsAt("so overlay2 can be used there", "overlay2", 0, "fits"),
			evidence.Custom("the state folder fits if it has d_type and is no overlay itself", []string{"file system", "d_type", "overlay2"},
				func(o evidence.Observed) evidence.Verdict {
					fsName, dtype, verdict := o.After.Column("file system", 1), o.After.Column("d_type", 1), o.After.Column("overlay2", 1)
					want := dtype == "yes" && fsName != "overlayfs"
					return evidence.Judged(want == (verdict == "fits") && dtype != evidence.Absent, "fits, with d_type and no overlay", verdict+", on "+fsName+" with d_type "+dtype)
				}),
		},
	}
}

// stateRoot is where images would be kept.
func stateRoot(b *bench.Bench) string {
	if b.Where == "userns" {
		return ground.HomeRoot()
	}
	return ground.StateRoot()
}

// readOverlayKernel tries before it looks: a kernel that has overlay as a module
// lists it only once somebody has mounted one.
func readOverlayKernel(ctx context.Context, _ *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, r := range probe.Run(ctx, probe.Options{Load: true}, "overlay.works") {
		facts = append(facts, evidence.F("tried: mount, whiteout, opaque folder", lastCall(r), string(r.State)))
	}
	known, err := ground.Registered()
	listed := map[bool]string{true: "yes", false: "no"}[known["overlay"]]
	return append(facts, evidence.F("overlay in /proc/filesystems", "grep overlay /proc/filesystems", listed)), err
}

// readOverlayFolders asks both folders the same questions. Where the state
// folder does not exist yet, the folder that it will be made in is asked.
func readOverlayFolders(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	state := ground.Existing(stateRoot(b))
	facts := []evidence.Fact{evidence.F("folder", "--root, or the default", ".", state)}
	for _, q := range []struct {
		name, from string
		ask        func(dir string) string
	}{
		{"file system", "stat -f -c %T", unionfs.FileSystemName},
		{"d_type", "getdents64(2)", dType},
		{"overlay2", "statfs(2), getdents64(2)", overlayVerdict},
		{"size limit (project quota)", "quotactl(2) Q_XGETQSTATV, Q_GETINFO", sizeLimit},
	} {
		facts = append(facts, evidence.F(q.name, q.from, q.ask(b.Dir), q.ask(state)))
	}
	return facts, nil
}

// dType says whether a folder's list of names has their types.
func dType(dir string) string {
	has, err := overlay2.HasDType(dir)
	return orAnswer(map[bool]string{true: "yes", false: "no"}[has], err)
}

// overlayVerdict is what the driver says to a folder.
func overlayVerdict(dir string) string {
	err := overlay2.CheckBacking(dir)
	if no := (*unionfs.Unsupported)(nil); errors.As(err, &no) {
		return "refused: " + strings.TrimPrefix(no.Reason, dir+" ")
	}
	return orAnswer("fits", err)
}

func sizeLimit(dir string) string {
	if _, err := projectquota.Open(dir); err != nil {
		return "no"
	}
	return "yes"
}

var (
	mkfsExt4  = bench.Tool{Program: "mkfs.ext4", Package: "e2fsprogs"}
	noDTypeFS = "mkfs.ext4 -q -O ^filetype " // without the feature that stores types with names
)

// overlayGhostStep shows what becomes of an overlay on a file system without
// d_type. ext4 without its feature "filetype" stands for the XFS with ftype=0 of
// the books, which new kernels no longer mount.
func overlayGhostStep() bench.Step {
	return bench.Step{
		Name: "no-d-type", Reproduces: []string{"ov-prereq"}, Needs: needs("loop"), Extra: true,
		Intend: intendDisk,
		Do:     mountGhost,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(attachDiskByHand(b),
					noDTypeFS+"$(cat disk.loop)",
					"mkdir disk && mount -t ext4 $(cat disk.loop) disk",
					"cd disk && mkdir lower upper work merged",
					"touch lower/kept lower/deleted",
					"mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged",
					"rm merged/deleted",
					"ls merged || true",
					"! cat merged/deleted",
					"cd $LAB",
				)
			},
			Tools: []bench.Tool{bench.Truncate, mkfsExt4, bench.Losetup, bench.Mkdir, {Program: "touch", Package: "coreutils"}, bench.Mount, rm, {Program: "ls", Package: "coreutils"}, bench.Cat},
		},
		Look: []bench.View{{Title: "a disk without d_type", Read: readGhost}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the disk stores names without types", "d_type", evidence.Equals("no")),
			evidence.Becomes("the driver refuses it and says why", "overlay2", evidence.Contains("without d_type")),
			evidence.Becomes("the overlay that was mounted all the same hides a deleted file from those who open it", "open(2) merged/deleted", evidence.Equals("ENOENT")),
			evidence.Becomes("but still lists it: a whiteout cannot be told from a file by its name", "names in merged", evidence.Equals("deleted kept")),
		},
	}
}

func mountGhost(ctx context.Context, b *bench.Bench) error {
	if err := attachDisk(ctx, b); err != nil {
		return err
	}
	args := strings.Fields(noDTypeFS + diskDevice(b))
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return &evidence.CannotTest{Reason: "the program mkfs.ext4 is not installed", WayOut: "apt-get install e2fsprogs"}
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	if err := os.Mkdir("disk", 0o755); err != nil {
		return err
	}
	if err := unix.Mount(diskDevice(b), "disk", "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount(%s, disk, ext4): %w", diskDevice(b), err)
	}
	if err := writeFiles(map[string]string{"disk/lower/kept": "", "disk/lower/deleted": "", "disk/upper/": "", "disk/work/": "", "disk/merged/": ""}); err != nil {
		return err
	}
	spec := overlay2.Spec{Home: b.Path("disk"), Lowers: []string{"lower"}, Upper: "upper", Work: "work"}
	if err := spec.MountAt(b.Path("disk/merged")); err != nil {
		return err
	}
	return os.Remove("disk/merged/deleted")
}

func readGhost(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	if is, err := unionfs.IsMountPoint("disk/merged"); err != nil || !is {
		return nil, err
	}
	_, err := os.ReadFile("disk/merged/deleted")
	return []evidence.Fact{
		evidence.F("d_type", "getdents64(2) disk", dType("disk")),
		evidence.F("overlay2", "statfs(2), getdents64(2) disk", overlayVerdict("disk")),
		evidence.F("disk/upper/deleted", "ls -l disk/upper/deleted", lies("disk/upper/deleted")),
		evidence.F("open(2) merged/deleted", "cat disk/merged/deleted", answer(err)),
		evidence.F("names in merged", "ls disk/merged", names("disk/merged")),
	}, nil
}
