// Package spelling finds what somebody may have meant who wrote a word that there is not.
package spelling

// Nearest finds the name that a writer may have meant: the one with the smallest edit distance, if
// that is at most a third of the word (a short word may have one error).
func Nearest(word string, names []string) (string, bool) {
	best, name := max(1, len(word)/3)+1, ""
	for _, n := range names {
		if d := distance(word, n); d < best {
			best, name = d, n
		}
	}
	return name, name != ""
}

// distance counts the letters to insert, delete, change, or swap with their neighbour to turn a
// into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
