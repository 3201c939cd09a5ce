package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/image"
)

// changedContainer is the one of the ten that is written to.
const changedContainer = "c1"

// inContainer is a shell line that goes where the container's layers are: $M is the
// name of the writable one.
var inContainer = "export M=$(cat store/image/overlay2/layerdb/mounts/" + changedContainer + "/mount-id)"

func imageDiffStep() bench.Step {
	return bench.Step{
		Name: "diff", Reproduces: []string{"img-commit"},
		Do: writeInContainer,
		ByHand: bench.ByHand{
			Lines: bench.Lines(inContainer,
				"(cd store/overlay2 && mkdir -p $M/merged && mount -t overlay overlay -o lowerdir=$(cat $M/lower),upperdir=$M/diff,workdir=$M/work $M/merged)",
				"echo 'made in the container' > store/overlay2/$M/merged/notes.txt",
				"echo 'VARIANT=lab' >> store/overlay2/$M/merged/etc/os-release",
				"rm store/overlay2/$M/merged/www/index.html",
				"umount store/overlay2/$M/merged",
				"find store/overlay2/$M/diff"),
			Tools: imageTools,
		},
		Look: []bench.View{{Title: "what the container changed", Read: readChanges}},
		Expect: []evidence.Expectation{
			evidence.Becomes("a new file is added: A", "/notes.txt", evidence.Equals("A")),
			evidence.Becomes("a file of the image that was written to is changed: C", "/etc/os-release", evidence.Equals("C")),
			evidence.Becomes("a file of the image that was removed is deleted: D", "/www/index.html", evidence.Equals("D")),
			evidence.Is("what the init layer brought is not listed", "/etc/hosts", evidence.Equals("not listed")),
		},
	}
}

// writeInContainer mounts the container's root, and does what a program in it could.
func writeInContainer(_ context.Context, b *bench.Bench) error {
	return withStore(b, storeHere, func(s *image.Store) error {
		m, err := s.MountRoot(changedContainer)
		if err != nil {
			return err
		}
		return errors.Join(changeFiles(m), m.Release())
	})
}

func changeFiles(m *unionfs.Mount) error {
	release, err := os.OpenFile(filepath.Join(m.Path, "etc/os-release"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = release.WriteString("VARIANT=lab\n")
	return errors.Join(err, release.Close(),
		os.WriteFile(filepath.Join(m.Path, "notes.txt"), []byte("made in the container\n"), 0o644),
		os.Remove(filepath.Join(m.Path, "www/index.html")))
}

// readChanges compares the container's layer with what is below it, as `docker diff`.
func readChanges(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	upper := filepath.Join(storeHere, "overlay2", layerFile(imageDB(storeHere, "layerdb/mounts", changedContainer), "mount-id"), "diff")
	err = withStore(b, storeHere, func(s *image.Store) error {
		changes, err := s.Changes(changedContainer)
		for _, c := range changes {
			kind, path, _ := strings.Cut(c.String(), " ")
			facts = append(facts, evidence.F(path, "find "+filepath.Join(storeHere, "overlay2/MOUNT_ID/diff"), kind))
		}
		return err
	})
	if names, _ := filesBelow(upper); len(names) > 0 {
		facts = append(facts, evidence.F("/etc/hosts", "find "+filepath.Join(storeHere, "overlay2/MOUNT_ID-init/diff"), "not listed"))
	}
	return facts, err
}

func imageCommitStep() bench.Step {
	return bench.Step{
		Name: "commit", Reproduces: []string{"img-commit"},
		Do:     commitChanges,
		ByHand: bench.ByHand{Lines: bench.Lines(commitLines...), Tools: imageTools},
		Look: []bench.View{
			{Title: "the layers of both images", Columns: []string{"web:latest", "copy:latest"}, Read: readBothImages},
			{Title: "the new layer", Read: readNewLayer},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("the new image begins with web's layers: the first", "diff id 1", 0, 1),
			evidence.ColumnsSame("the second", "diff id 2", 0, 1),
			evidence.ColumnsSame("and the third", "diff id 3", 0, 1),
			evidence.Custom("it has one more layer", []string{"diff id 4"}, func(o evidence.Observed) evidence.Verdict {
				web, made := o.After.Column("diff id 4", 0), o.After.Column("diff id 4", 1)
				return evidence.Judged(web == evidence.Absent && strings.HasPrefix(made, "sha256:"), "a fourth diff id in copy alone", web+" and "+made)
			}),
			evidence.Becomes("that layer holds the three changes and nothing else", "files in it", evidence.Equals("etc/os-release, notes.txt, www/index.html (whiteout)")),
		},
	}
}

// commitLines do by hand what `docker commit` does: the changes become a layer,
// the configuration gets one more diff id, and the result is a new image.
var commitLines = []string{
	inContainer,
	"cp -a store/overlay2/$M/diff changes",
	"find changes -type c | while read f; do rm $f && touch ${f%/*}/.wh.${f##*/}; done",
	"mkdir copy && tar -C changes -cf copy/new.tar etc notes.txt www",
	"export DIFF=sha256:$(sha256sum < copy/new.tar | cut -d' ' -f1)",
	"cutaway save --root store web | tar -x -C copy",
	exportID,
	`sed -e 's/],"os"/,{"created_by":"by hand"}],"os"/' -e "s/\"]}}$/\",\"$DIFF\"]}}/" copy/$ID.json > copy/new.json`,
	`sed -i -e 's/'$ID.json'/new.json/' -e 's/web:latest/copy:latest/' -e 's/"]}]/","new.tar"]}]/' copy/manifest.json`,
	"tar -C copy -cf copy.tar . && cutaway load --root store --input copy.tar",
}

// commitChanges makes an image of what the container wrote.
func commitChanges(_ context.Context, b *bench.Bench) error {
	return withStore(b, storeHere, func(s *image.Store) error {
		web, err := s.Resolve("web")
		if err != nil {
			return err
		}
		img, err := s.Commit(changedContainer, web, image.CommitOptions{Comment: "from a container", Created: time.Now()})
		if err != nil {
			return err
		}
		return tag(s, "copy:latest", img.ImageID)
	})
}

func tag(s *image.Store, name string, id digest.Digest) error {
	ref, err := image.ParseReference(name)
	if err != nil {
		return err
	}
	return s.Tag(ref, id)
}

func readBothImages(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	var ids [2][]digest.Digest
	for i, name := range []string{"web:latest", "copy:latest"} {
		if img, err := configOf(storeHere, name); err == nil {
			ids[i] = img.RootFS.DiffIDs
		}
	}
	for n := range max(len(ids[0]), len(ids[1])) {
		f := evidence.F(fmt.Sprintf("diff id %d", n+1), "their files in imagedb: rootfs.diff_ids", evidence.Absent, evidence.Absent)
		for i := range ids {
			if n < len(ids[i]) {
				f.Values[i] = "sha256:" + brief(ids[i][n].String()) + "..."
			}
		}
		facts = append(facts, f)
	}
	return facts, nil
}

// readNewLayer follows the new image's topmost chain id to its files.
func readNewLayer(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	chain, err := chainOf(storeHere, "copy:latest")
	if err != nil {
		return nil, err
	}
	top := imageDB(storeHere, "layerdb/sha256", chain[len(chain)-1].Encoded())
	names, _ := filesBelow(filepath.Join(storeHere, "overlay2", layerFile(top, "cache-id"), "diff"))
	return []evidence.Fact{
		evidence.F("files in it", "find store/overlay2/CACHE_ID/diff", strings.Join(names, ", ")),
		evidence.F("its size, bytes", "cat store/image/overlay2/layerdb/sha256/CHAIN/size", layerFile(top, "size")),
	}, nil
}
