// Package lesson reads the prose of the labs and the translations of what the
// program says.
//
// A lab's prose is one Markdown file for each language:
//
//	# Title of the lab
//	What this lab is about.
//
//	## step-name: title of the step
//	### Why
//	### Predict          a question; answers as a list, "- [x]" marks the right one
//	### What happened
//	### Where it matters
//	### Further reading
//
//	## Terms
//	- a claim or a table title in English :: the same in this language
//
// English is the key of everything: claims, titles and messages stand in the
// Go code in English, and other languages look them up. What is not found is
// shown in English.
package lesson
