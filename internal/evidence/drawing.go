package evidence

// Drawing is a picture made of characters, from what the kernel says: which
// links hang together, say. It comes in two hands, so that whoever shows it
// need not know how it was made.
type Drawing struct {
	Title string   `json:"title"`
	From  string   `json:"from"`  // what was asked, so that a person can ask again
	Lines []string `json:"lines"` // with box-drawing characters
	Plain []string `json:"plain"` // the same with + - | alone
}
