package results

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatMS writes milliseconds to three significant digits with the unit that
// suits them: 812µs, 1.23ms, 31.2ms, 1.5s, 2m05s.
func formatMS(ms float64) string {
	switch {
	case ms <= 0:
		return "0s"
	case ms < 0.9995:
		return significant(ms*1000) + "µs"
	case ms < 999.5:
		return significant(ms) + "ms"
	case ms < 59_950:
		return significant(ms/1000) + "s"
	}
	s := int64(math.Round(ms / 1000))
	if s < 3600 {
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm%02ds", s/3600, s/60%60, s%60)
}

// significant writes three significant digits of a number below 1000, without
// trailing zeros.
func significant(x float64) string {
	decimals := 2
	switch {
	case x >= 99.95:
		decimals = 0
	case x >= 9.995:
		decimals = 1
	}
	return trimZeros(strconv.FormatFloat(x, 'f', decimals, 64))
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

func formatShare(share float64) string {
	percent := share * 100
	if percent > 0 && percent < 0.01 {
		return "<0.01%"
	}
	return trimZeros(strconv.FormatFloat(percent, 'f', 2, 64)) + "%"
}

func formatRate(perS float64) string {
	if perS >= 1000 {
		return FormatCount(int64(math.Round(perS))) + "/s"
	}
	return trimZeros(strconv.FormatFloat(perS, 'f', 1, 64)) + "/s"
}

func formatNumber(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		return FormatCount(int64(x))
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

// FormatCount writes a count with commas between thousands.
func FormatCount[N int | int64 | uint64](n N) string {
	sign, s := "", fmt.Sprint(n)
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return FormatCount(n) + " " + noun + "s"
}

// Wrap breaks text into lines of at most width columns, between words; a word
// that is longer is cut.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		for utf8.RuneCountInString(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			runes := []rune(word)
			lines, word = append(lines, string(runes[:width])), string(runes[width:])
		}
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}
