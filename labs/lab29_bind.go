package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
	"cutaway/volumedemo"
)

// bindLab is lab 29: a folder of the host in a container.
func bindLab() bench.Lab {
	return bench.Lab{ID: "29", Name: "bind", Needs: needs("ns.mnt", "mount.pivot-root"), Steps: []bench.Step{
		bindHideStep(),
		bindEditStep(),
		bindReadOnlyStep(),
		bindFileStep(),
		bindMissingStep(),
		bindReplaceStep(),
		bindSurviveStep(),
	}}
}

// The containers of lab 29.
const (
	webBox    = "web"    // has the folder site at /www
	readerBox = "reader" // the same, read-only
	singleBox = "single" // has the one file site/page at /etc/page
	madeBox   = "made"   // asked for a folder that was missing
)

const (
	imagePage = "the page of the image"
	sitePage  = "the page of the host"
)

func bindHideStep() bench.Step {
	return bench.Step{
		Name: "hide", Inside: webBox,
		Reproduces: []string{"vol-bind"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := buildSite(b); err != nil {
				return err
			}
			return startWith(ctx, b, webBox, "./site:/www")
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return append(buildJailByHand(boxRoot), "mkdir site box/www",
					"echo '"+imagePage+"' > box/www/page", "echo '"+sitePage+"' > site/page",
					startBoxByHand(webBox, "mount --bind site box/www"), waitUntilRuns(webBox, "sleep"))
			},
			Tools: boxTools,
		},
		Look: []bench.View{
			{Title: "what is at /www/page", Read: readPages},
			{Title: "where /www comes from", Read: readWWW(webBox)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("in the container, the page is the one of the host's folder", "page in the container", evidence.Equals(sitePage)),
			evidence.Becomes("the page of the image is still on disk: hidden by the mount, not replaced", "page in the image's folder", evidence.Equals(imagePage)),
			evidence.Becomes("the container's mount table names the host's folder as the source", "source of /www", evidence.Contains("/site of")),
			evidence.Same("both names lead to one folder: same device, same inode", "/www of the container", "the folder site of the host"),
		},
	}
}

// buildSite makes the container's root with a page in it, and a folder of the
// host with another one.
func buildSite(b *bench.Bench) error {
	return errors.Join(buildJail(b, boxRoot), os.Mkdir(b.Path("site"), 0o755), os.Mkdir(b.Path(boxRoot, "www"), 0o755),
		os.WriteFile(b.Path(boxRoot, "www", "page"), []byte(imagePage+"\n"), 0o644),
		os.WriteFile(b.Path("site", "page"), []byte(sitePage+"\n"), 0o644))
}

// startWith starts a container with options as one types them after -v.
func startWith(ctx context.Context, b *bench.Bench, name string, volumes ...string) error {
	var asked []volumedemo.Spec
	for _, text := range volumes {
		s, err := short(b, text)
		if err != nil {
			return err
		}
		asked = append(asked, s)
	}
	return startBox(ctx, b, name, asked...)
}

// readPages reads one path in the container, and the two files that could be
// there. In the scratch folder, box/www is not covered by any mount.
func readPages(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("page in the host's folder", "site/page", fileText(b.Path("site", "page"))),
		evidence.F("page in the image's folder", "box/www/page", fileText(b.Path(boxRoot, "www", "page"))),
	}
	pid, err := b.Pid(webBox)
	if err != nil {
		return facts, err
	}
	path := inBox(pid, "/www/page")
	return append(facts, evidence.F("page in the container", path, fileText(path))), nil
}

// readWWW reads the line of /www in a container's mount table.
func readWWW(name string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		facts := []evidence.Fact{
			evidence.F("the folder site of the host", "stat(2) site", identity(nsdemo.Stat(b.Path("site")))),
		}
		pid, err := b.Pid(name)
		if err != nil {
			return facts, err
		}
		source, options := mountLine(pid, "/www")
		table := fmt.Sprintf("/proc/%d/mountinfo", pid)
		return append(facts,
			evidence.F("/www of the container", "stat(2) "+inBox(pid, "/www"), identity(nsdemo.Stat(inBox(pid, "/www")))),
			evidence.F("source of /www", table, source),
			evidence.F("options of /www", table, firstOption(options)),
		), nil
	}
}

// firstOption is ro or rw: the rest of the options is about access times.
func firstOption(options string) string {
	first, _, _ := strings.Cut(options, ",")
	return first
}

const editedPage = "edited on the host"

func bindEditStep() bench.Step {
	return bench.Step{
		Name: "edit", Inside: webBox,
		Reproduces: []string{"vol-bind"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return os.WriteFile(b.Path("site", "page"), []byte(editedPage+"\n"), 0o644)
		},
		ByHand: bench.ByHand{Lines: bench.Lines("echo '" + editedPage + "' > site/page")},
		Look:   []bench.View{{Title: "what is at /www/page", Read: readPages}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container sees the edit at once", "page in the container", evidence.Equals(editedPage)),
			evidence.Keeps("the page of the image is as it was", "page in the image's folder"),
		},
	}
}

const secondEdit = "edited beside a read-only container"

func bindReadOnlyStep() bench.Step {
	return bench.Step{
		Name: "readonly", Inside: readerBox,
		Reproduces: []string{"vol-bind-ro"},
		Do:         startReader,
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return []string{
					startBoxByHand(readerBox, "mount --bind -o ro site box/www"), waitUntilRuns(readerBox, "sleep"),
					"! nsenter --target $(cat reader.pid) --mount sh -c 'echo defaced > /www/page'",
					"echo '" + secondEdit + "' > site/page",
				}
			},
			Tools: append([]bench.Tool{bench.Nsenter}, boxTools...),
		},
		Look: []bench.View{
			{Title: "who may write the page", Read: readWhoMayWrite},
			{Title: "where /www comes from", Read: readWWW(readerBox)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("in the container, the kernel refuses to write", "may be written in the read-only container", evidence.Contains("EROFS")),
			evidence.AlwaysIs("on the host, the same file may be written", "may be written on the host", evidence.Equals("yes")),
			evidence.AlwaysIs("and in the other container as well: read-only is this one mount, not the file", "may be written in the container web", evidence.Equals("yes")),
			evidence.Becomes("what the host wrote arrived all the same", "page in the read-only container", evidence.Equals(secondEdit)),
			evidence.Becomes("the mount table says ro", "options of /www", evidence.Equals("ro")),
		},
	}
}

// startReader has the container try to write, and then the host.
func startReader(ctx context.Context, b *bench.Bench) error {
	if err := startWith(ctx, b, readerBox, "./site:/www:ro"); err != nil {
		return err
	}
	p, err := b.Inside(ctx, readerBox)
	if err != nil {
		return err
	}
	if err := p.WriteFile(ctx, "/www/page", "defaced\n", 0o644); !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("the container wrote through a read-only mount (%v); want EROFS", err)
	}
	return os.WriteFile(b.Path("site", "page"), []byte(secondEdit+"\n"), 0o644)
}

func readWhoMayWrite(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{evidence.F("may be written on the host", "access(2) site/page, W_OK", mayWrite(b.Path("site", "page")))}
	if pid, err := b.Pid(webBox); err == nil {
		path := inBox(pid, "/www/page")
		facts = append(facts, evidence.F("may be written in the container web", "access(2) "+path+", W_OK", mayWrite(path)))
	}
	pid, err := b.Pid(readerBox)
	if err != nil {
		return facts, err
	}
	path := inBox(pid, "/www/page")
	return append(facts,
		evidence.F("may be written in the read-only container", "access(2) "+path+", W_OK", mayWrite(path)),
		evidence.F("page in the read-only container", path, fileText(path)),
	), nil
}

func bindSurviveStep() bench.Step {
	return bench.Step{
		Name:       "survive",
		Reproduces: []string{"vol-bind-survive"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return errors.Join(endBox(b, webBox), os.RemoveAll(b.Path(boxRoot, "www")))
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines("kill -9 $(cat web.pid)", waitUntilGone(webBox), "rm -r box/www"),
			Tools: []bench.Tool{{Program: "rm", Package: "coreutils"}},
		},
		Look: []bench.View{{Title: "what is left", Read: readLeft}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container is gone", "the container web", evidence.Gone()),
			evidence.Becomes("and so is its own folder /www with the page of the image", "page in the image's folder", evidence.Gone()),
			evidence.Keeps("the host's folder is the one that it was", "the folder site of the host"),
			evidence.AlwaysIs("with what the container left in it", "page in the host's folder", evidence.Equals(savedPage)),
		},
	}
}

// endBox ends a container, whoever started it.
func endBox(b *bench.Bench, name string) error {
	pid, err := b.Pid(name)
	if err != nil {
		return err
	}
	if bench.Kept[*nsdemo.Process](b, name) != nil {
		return b.Drop(name)
	}
	return errors.Join(b.Forget(name), unix.Kill(pid, unix.SIGKILL))
}

func readLeft(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return []evidence.Fact{
		evidence.F("the container web", "/proc/PID", running(b, webBox)),
		evidence.F("page in the image's folder", "box/www/page", fileText(b.Path(boxRoot, "www", "page"))),
		evidence.F("the folder site of the host", "stat(2) site", identity(nsdemo.Stat(b.Path("site")))),
		evidence.F("page in the host's folder", "site/page", fileText(b.Path("site", "page"))),
	}, nil
}
