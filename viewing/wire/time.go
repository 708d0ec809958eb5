package wire

import (
	"time"

	"github.com/playhead-load/playhead/viewing"
)

const (
	msPerDay       = 86_400_000
	lastFastMillis = viewing.Millis(253_402_300_800_000) - 1 // the last millisecond of year 9999
	daysTo1970     = 719_468                                 // from 0000-03-01 to 1970-01-01
	daysPerEra     = 146_097                                 // 400 years
)

// AppendTime appends at as RFC 3339 in UTC with milliseconds, without quotes:
// 2026-11-23T20:15:00.123Z. Years outside 0 to 9999 come out as package time
// writes them, which no RFC 3339 parser reads back.
func AppendTime(dst []byte, at viewing.Millis) []byte {
	if at < 0 || at > lastFastMillis {
		return time.UnixMilli(int64(at)).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	}
	day, ms := uint64(at)/msPerDay, uint32(uint64(at)%msPerDay)
	year, month, date := civil(uint32(day))
	second := ms / 1000
	minute := second / 60
	dst = append2(dst, year/100)
	dst = append2(dst, year%100)
	dst = append2(append(dst, '-'), month)
	dst = append2(append(dst, '-'), date)
	dst = append2(append(dst, 'T'), minute/60)
	dst = append2(append(dst, ':'), minute%60)
	dst = append2(append(dst, ':'), second%60)
	ms %= 1000
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

func append2(dst []byte, n uint32) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// civil gives the date of a day counted from 1970-01-01, by Howard Hinnant's
// "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that a
// leap day is the last of its year.
func civil(day uint32) (year, month, date uint32) {
	day += daysTo1970
	era, ofEra := day/daysPerEra, day%daysPerEra
	yearOfEra := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	march := (5*ofYear + 2) / 153
	date = ofYear - (153*march+2)/5 + 1
	year = yearOfEra + era*400
	if march < 10 {
		return year, march + 3, date
	}
	return year + 1, march - 9, date
}

// ParseTime reads an RFC 3339 time with any fraction of a second, truncated to
// milliseconds, and any offset up to ±23:59. T and Z are upper case, the fraction
// follows a point, and a leap second (:60) is refused.
func ParseTime(b []byte) (viewing.Millis, bool) {
	const prefix = len("2006-01-02T15:04:05")
	if len(b) <= prefix || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	century, years := twoDigits(b[0], b[1]), twoDigits(b[2], b[3])
	month, date := twoDigits(b[5], b[6]), twoDigits(b[8], b[9])
	hour, minute, second := twoDigits(b[11], b[12]), twoDigits(b[14], b[15]), twoDigits(b[17], b[18])
	if century > 99 || years > 99 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	year := century*100 + years
	if date < 1 || date > daysIn(year, month) {
		return 0, false
	}
	ms, rest, ok := parseFraction(b[prefix:])
	if !ok {
		return 0, false
	}
	offsetMinutes, ok := parseOffset(rest)
	if !ok {
		return 0, false
	}
	minutes := int64(hour*60+minute) - offsetMinutes
	return viewing.Millis(daysSince1970(year, month, date)*msPerDay + minutes*60_000 + int64(second*1000+ms)), true
}

// twoDigits is the number that two digits write, and above 99 if one is no digit.
func twoDigits(tens, ones byte) uint32 {
	t, o := uint32(tens-'0'), uint32(ones-'0')
	if t > 9 || o > 9 {
		return 1000
	}
	return t*10 + o
}

func daysIn(year, month uint32) uint32 {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSince1970 is the inverse of civil, for years from 0.
func daysSince1970(year, month, date uint32) int64 {
	y := int64(year)
	march := int64(month) - 3
	if month < 3 {
		y, march = y-1, march+12
	}
	era := y / 400
	if y < 0 {
		era = -1
	}
	yearOfEra := y - era*400
	ofYear := (153*march+2)/5 + int64(date) - 1
	return era*daysPerEra + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + ofYear - daysTo1970
}

// parseFraction reads ".123456" into milliseconds; no fraction is zero.
func parseFraction(b []byte) (ms uint32, rest []byte, ok bool) {
	if b[0] != '.' {
		return 0, b, true
	}
	i, scale := 1, uint32(100)
	for i < len(b) && b[i]-'0' <= 9 {
		ms += uint32(b[i]-'0') * scale
		scale /= 10
		i++
	}
	return ms, b[i:], i > 1
}

func parseOffset(b []byte) (minutes int64, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != len("+00:00") || b[3] != ':' {
		return 0, false
	}
	hour, minute := twoDigits(b[1], b[2]), twoDigits(b[4], b[5])
	if hour > 23 || minute > 59 {
		return 0, false
	}
	minutes = int64(hour*60 + minute)
	switch b[0] {
	case '+':
		return minutes, true
	case '-':
		return -minutes, true
	}
	return 0, false
}
