package corpus

// Times are packed as a number where their text has one of four layouts and is
// exactly what the number will be shown as. Dates use the proleptic Gregorian
// calendar; the day arithmetic is Howard Hinnant's days_from_civil (public domain).

// timestamp reads s as one of the layouts; how is its as… constant.
func timestamp(s string) (how byte, n uint64, ok bool) {
	switch {
	case len(s) == 10:
		how = asDate
	case len(s) == 19 && s[10] == ' ':
		how = asTime
	case len(s) == 20 && s[10] == 'T' && s[19] == 'Z':
		how = asTimeZ
	case len(s) == 23 && s[10] == ' ' && s[19:] == " UTC":
		how = asTimeU
	default:
		return 0, 0, false
	}
	if s[4] != '-' || s[7] != '-' {
		return 0, 0, false
	}
	y, m, d := digits(s[0:4]), digits(s[5:7]), digits(s[8:10])
	if y < 1970 || m < 1 || m > 12 || d < 1 || d > daysIn(y, m) {
		return 0, 0, false
	}
	n = uint64(daysFromCivil(y, m, d))
	if how == asDate {
		return how, n, true
	}
	if s[13] != ':' || s[16] != ':' {
		return 0, 0, false
	}
	hh, mm, ss := digits(s[11:13]), digits(s[14:16]), digits(s[17:19])
	if hh < 0 || hh > 23 || mm < 0 || mm > 59 || ss < 0 || ss > 59 {
		return 0, 0, false
	}
	return how, n*86400 + uint64(hh*3600+mm*60+ss), true
}

// appendTimestamp is the inverse of timestamp. Numbers that timestamp never
// gives (damage) are shown modulo the year 10000.
func appendTimestamp(b []byte, how byte, n uint64) []byte {
	days, secs := n, uint64(0)
	if how != asDate {
		days, secs = n/86400, n%86400
	}
	y, m, d := civilFromDays(int(days % 2932897)) // up to 9999-12-31
	b = two(two(b, y/100), y%100)
	b = two(append(b, '-'), m)
	b = two(append(b, '-'), d)
	if how == asDate {
		return b
	}
	sep := byte(' ')
	if how == asTimeZ {
		sep = 'T'
	}
	b = two(append(b, sep), int(secs/3600))
	b = two(append(b, ':'), int(secs/60%60))
	b = two(append(b, ':'), int(secs%60))
	switch how {
	case asTimeZ:
		b = append(b, 'Z')
	case asTimeU:
		b = append(b, " UTC"...)
	}
	return b
}

func two(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// digits reads a decimal number, -1 where s is none.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return -1
		}
		n = n*10 + int(d)
	}
	return n
}

func daysIn(y, m int) int {
	if m == 2 {
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (m+m/8)%2
}

func daysFromCivil(y, m, d int) int {
	if m <= 2 {
		y--
	}
	era, yoe := y/400, y%400
	doy := (153*((m+9)%12)+2)/5 + d - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

func civilFromDays(z int) (y, m, d int) {
	z += 719468
	era, doe := z/146097, z%146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = doy - (153*mp+2)/5 + 1
	m = (mp+2)%12 + 1
	y = yoe + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}
