package evidence

// Plot is a measurement that is better looked at than read: values over time.
type Plot struct {
	Title string   `json:"title"`
	X     string   `json:"x"` // unit of the horizontal axis, e.g. "s"
	Y     string   `json:"y"` // unit of the vertical axis, e.g. "% of a CPU"
	Lines []Line   `json:"lines"`
	Marks []Marker `json:"marks,omitempty"`
}

// Line is one series of points, in order of X.
type Line struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"`
}

// Marker names a moment, e.g. when a limit was changed.
type Marker struct {
	X    float64 `json:"x"`
	Name string  `json:"name"`
}
