package image

import (
	"fmt"
	"time"
)

// Shown is a row in words, with the names of `docker images --format`.
type Shown struct {
	Repository, Tag, Digest, ID string
	CreatedSince, CreatedAt     string
	Size                        string
}

// Show puts a row into words. now is for CreatedSince; whole keeps the full id.
func (r Row) Show(now time.Time, whole bool) Shown {
	id := short(r.ID.Encoded())
	if whole {
		id = r.ID.String()
	}
	return Shown{
		Repository: r.Repository, Tag: r.Tag, Digest: r.Digest, ID: id,
		CreatedSince: Ago(now.Sub(r.Created)), CreatedAt: r.Created.Local().Format("2006-01-02 15:04:05 -0700 MST"),
		Size: HumanSize(r.Size),
	}
}

// HumanSize writes bytes as Docker does: powers of 1000, at most 4 digits.
func HumanSize(n int64) string {
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for value >= 1000 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.3g%s", value, units[unit])
}

// Ago writes a time span as Docker does.
func Ago(d time.Duration) string {
	day := 24 * time.Hour
	for _, step := range []struct {
		below, unit time.Duration
		name        string
	}{
		{2 * time.Minute, time.Second, "second"},
		{2 * time.Hour, time.Minute, "minute"},
		{48 * time.Hour, time.Hour, "hour"},
		{14 * day, day, "day"},
		{60 * day, 7 * day, "week"},
		{730 * day, 30 * day, "month"},
		{1 << 62, 365 * day, "year"},
	} {
		if d >= step.below {
			continue
		}
		n := int64(d / step.unit)
		if n == 1 {
			return "1 " + step.name + " ago"
		}
		return fmt.Sprintf("%d %ss ago", n, step.name)
	}
	return "long ago"
}
