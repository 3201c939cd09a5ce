package labs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
)

const replyScript = "mkdir /inbox && echo from the container > /reply && chmod 604 /reply && chown 33:33 /reply && touch /ready"

func sharingCopyStep() bench.Step {
	lines := append(runLines("desk", "-v shared:/shared box "+scriptLine(replyScript)), "until [ -e /proc/$(cat desk.pid)/root/ready ]; do sleep 0.01; done",
		"echo from the host > paper && chown 1000:1000 paper && chmod 640 paper",
		"cutaway cp paper desk:/inbox/", "cutaway cp -a paper desk:/inbox/archived", "cutaway cp paper desk:/shared/")
	return bench.Step{
		Name: "copy-in", Inside: "desk", Reproduces: []string{"vol-cp"},
		Intend: intendEngine,
		Do:     copyIn,
		ByHand: bench.ByHand{Lines: typed(lines...), Tools: []bench.Tool{cutawayTool, {Program: "chown", Package: "coreutils"}, {Program: "chmod", Package: "coreutils"}}},
		Look:   []bench.View{{Title: "one file and its copies", Read: readCopied}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the content arrived", "/inbox/paper", evidence.Equals("from the host")),
			evidence.Becomes("the mode is kept, the owner is the container's root", "owner and mode of /inbox/paper", evidence.Equals("0:0 0640")),
			evidence.Becomes("with -a the owner is kept as well", "owner and mode of /inbox/archived", evidence.Equals("1000:1000 0640")),
			evidence.Becomes("what is copied below a mount lands in the volume", "paper in the volume shared", evidence.Equals("from the host")),
		},
	}
}

// copyIn is cp into a container: an archive of one file, unpacked in there.
func copyIn(ctx context.Context, b *bench.Bench) error {
	if err := (contained{name: "desk", image: "box", volumes: []string{"shared:/shared"}, command: script(replyScript)}).run(b); err != nil {
		return err
	}
	pid, err := b.Pid("desk")
	if err != nil {
		return err
	}
	err = errors.Join(waitForFile(ctx, inBox(pid, "/ready")), os.WriteFile(b.Path("paper"), []byte("from the host\n"), 0o640),
		os.Chown(b.Path("paper"), 1000, 1000), os.Chmod(b.Path("paper"), 0o640))
	if err != nil {
		return err
	}
	return withEngine(b, func(e *minicontainer.Engine) error {
		return errors.Join(
			e.CopyTo("desk", "/inbox", archiveOf(b, "paper", 0)),
			e.CopyTo("desk", "/inbox", archiveOf(b, "archived", 1000)),
			e.CopyTo("desk", "/shared", archiveOf(b, "paper", 0)))
	})
}

// archiveOf is the file paper in a tar, under a name and an owner.
func archiveOf(b *bench.Bench, name string, owner int) io.Reader {
	text, err := os.ReadFile(b.Path("paper"))
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err = errors.Join(err, w.WriteHeader(&tar.Header{Name: name, Mode: 0o640, Uid: owner, Gid: owner, Size: int64(len(text)), Typeflag: tar.TypeReg}))
	if _, writeErr := w.Write(text); errors.Join(err, writeErr, w.Close()) != nil {
		return bytes.NewReader(nil) // a missing file shows as an empty copy
	}
	return &archive
}

func readCopied(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("owner and mode of paper on the host", "stat(2) paper", ownerAndMode(b.Path("paper"))),
		evidence.F("paper in the volume shared", "root/volumes/shared/_data/paper", fileText(volumeData(b, "shared")+"/paper")),
	}
	pid, err := b.Pid("desk")
	if err != nil {
		return facts, err
	}
	return append(facts,
		evidence.F("/inbox/paper", inBox(pid, "/inbox/paper"), fileText(inBox(pid, "/inbox/paper"))),
		evidence.F("owner and mode of /inbox/paper", "stat(2) "+inBox(pid, "/inbox/paper"), ownerAndMode(inBox(pid, "/inbox/paper"))),
		evidence.F("owner and mode of /inbox/archived", "stat(2) "+inBox(pid, "/inbox/archived"), ownerAndMode(inBox(pid, "/inbox/archived"))),
	), nil
}

func sharingBackStep() bench.Step {
	return bench.Step{
		Name: "copy-out", Inside: "desk", Reproduces: []string{"vol-cp"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return withEngine(b, func(e *minicontainer.Engine) error { return copyOut(b, e, "desk", "/reply") })
		},
		ByHand: bench.ByHand{Lines: typed("cutaway cp desk:/reply ."), Tools: []bench.Tool{cutawayTool}},
		Look:   []bench.View{{Title: "a file of the container, copied to the host", Read: readReply}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the content arrived", "reply on the host", evidence.Equals("from the container")),
			evidence.Becomes("the mode is kept, the owner is who copied it", "owner and mode of reply on the host", evidence.Equals("0:0 0604")),
			evidence.AlwaysIs("in the container it belongs to 33:33 as before", "owner and mode of /reply in the container", evidence.Equals("33:33 0604")),
		},
	}
}

// copyOut is cp from a container: an archive of one file, unpacked here.
func copyOut(b *bench.Bench, e *minicontainer.Engine, ref, name string) error {
	var archive bytes.Buffer
	if err := e.CopyFrom(ref, name, &archive); err != nil {
		return err
	}
	r := tar.NewReader(&archive)
	hdr, err := r.Next()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r)
	to := b.Path(path.Base(name))
	return errors.Join(err, os.WriteFile(to, text, 0o600), os.Chmod(to, hdr.FileInfo().Mode().Perm()))
}

func readReply(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("reply on the host", "cat reply", fileText(b.Path("reply"))),
		evidence.F("owner and mode of reply on the host", "stat(2) reply", ownerAndMode(b.Path("reply"))),
	}
	pid, err := b.Pid("desk")
	if err != nil {
		return facts, err
	}
	return append(facts, evidence.F("owner and mode of /reply in the container", "stat(2) "+inBox(pid, "/reply"), ownerAndMode(inBox(pid, "/reply")))), nil
}
