/* Functions of strings, conversions to and from them, format(). Positions are characters. */
#include "expr_unit.h"

static void sizes(void **state)
{
    (void)state;
    is_true("size('') == 0 && 'abc'.size() == 3 && size('h\\u00e9\\U0001F600') == 3");
    is_true("b'\\xc3\\xa9'.size() == 2 && size([1, 2]) == 2 && {'a': 1}.size() == 1");
}

static void tests_of_parts(void **state)
{
    (void)state;
    is_true("'hello'.contains('ell') && 'hello'.contains('') && !'hello'.contains('x')");
    is_true("'hello'.startsWith('he') && !'he'.startsWith('hello') && 'a'.startsWith('')");
    is_true("'hello'.endsWith('lo') && !'lo'.endsWith('hello') && ''.endsWith('')");
    is_true(
        "request.path.startsWith('/api/') && request.path.endsWith('/42') && request.path.contains(request.path)");
}

static void characters(void **state)
{
    (void)state;
    gives("'hello'.charAt(4)", "\"o\"");
    gives("'hello'.charAt(5)", "\"\"");
    gives("'a\\u00e9b'.charAt(1)", "\"\xc3\xa9\"");
    fails("'hello'.charAt(6)", "index out of range");
    fails("'hello'.charAt(-1)", "index out of range");
}

static void positions(void **state)
{
    (void)state;
    gives("'hello mellow'.indexOf('')", "0");
    gives("'hello mellow'.indexOf('ello')", "1");
    gives("'hello mellow'.indexOf('jello')", "-1");
    gives("'hello mellow'.indexOf('', 2)", "2");
    gives("'hello mellow'.indexOf('ello', 2)", "7");
    gives("'\\u00e9\\u00e9x'.indexOf('x')", "2");
    fails("'hello mellow'.indexOf('ello', 20)", "index out of range");
    fails("'hello mellow'.indexOf('ello', -1)", "index out of range");
    gives("'hello mellow'.lastIndexOf('')", "12");
    gives("'hello mellow'.lastIndexOf('ello')", "7");
    gives("'hello mellow'.lastIndexOf('jello')", "-1");
    gives("'hello mellow'.lastIndexOf('ello', 6)", "1");
    gives("'hello mellow'.lastIndexOf('', 3)", "3");
    gives("'\\u00e9x\\u00e9x'.lastIndexOf('x')", "3");
    fails("'hello mellow'.lastIndexOf('ello', -1)", "index out of range");
    fails("'hello mellow'.lastIndexOf('ello', 13)", "index out of range");
}

static void joining_and_splitting(void **state)
{
    (void)state;
    gives("['hello', 'mellow'].join()", "\"hellomellow\"");
    gives("['hello', 'mellow'].join(' ')", "\"hello mellow\"");
    gives("[].join('/')", "\"\"");
    fails("['a', 1].join(',')", "no such overload");
    gives("'a b c'.split(' ')", "[\"a\", \"b\", \"c\"]");
    gives("'a b c'.split(' ', 0)", "[]");
    gives("'a b c'.split(' ', 1)", "[\"a b c\"]");
    gives("'a b c'.split(' ', 2)", "[\"a\", \"b c\"]");
    gives("'a b c'.split(' ', -1)", "[\"a\", \"b\", \"c\"]");
    gives("'a\\u00e9b'.split('')", "[\"a\", \"\xc3\xa9\", \"b\"]");
    gives("'abc'.split('', 2)", "[\"a\", \"bc\"]");
    gives("''.split(',')", "[\"\"]");
    gives("',a,'.split(',')", "[\"\", \"a\", \"\"]");
}

static void replacing(void **state)
{
    (void)state;
    gives("'hello hello'.replace('he', 'we')", "\"wello wello\"");
    gives("'hello hello'.replace('he', 'we', -1)", "\"wello wello\"");
    gives("'hello hello'.replace('he', 'we', 1)", "\"wello hello\"");
    gives("'hello hello'.replace('he', 'we', 0)", "\"hello hello\"");
    gives("'hello hello'.replace('', '_')", "\"_h_e_l_l_o_ _h_e_l_l_o_\"");
    gives("'hello'.replace('l', '')", "\"heo\"");
    gives("'\\u00e9'.replace('', '-')", "\"-\xc3\xa9-\"");
    gives("'ab'.replace('', '-', 2)", "\"-a-b\"");
}

static void cutting(void **state)
{
    (void)state;
    gives("'tacocat'.substring(4)", "\"cat\"");
    gives("'tacocat'.substring(0, 4)", "\"taco\"");
    gives("'tacocat'.substring(7)", "\"\"");
    gives("'t\\u00e9cocat'.substring(1, 3)", "\"\xc3\xa9"
                                             "c\"");
    fails("'tacocat'.substring(-1)", "index out of range");
    fails("'tacocat'.substring(8)", "index out of range");
    fails("'tacocat'.substring(2, 1)", "index out of range");
    fails("'tacocat'.substring(2, 8)", "index out of range");
    gives("'  \\ttrim\\n    '.trim()", "\"trim\"");
    gives("'\\u00a0\\u3000 a b \\u2003\\u0085'.trim()", "\"a b\"");
    gives("'\\u200ba\\u200b'.trim() == '\\u200ba\\u200b'", "true"); /* zero-width is no white space */
    gives("'   '.trim()", "\"\"");
}

static void letters(void **state)
{
    (void)state;
    gives("'TacoC\\u00c6t Xii'.lowerAscii()", "\"tacoc\xc3\x86t xii\"");
    gives("'TacoC\\u00c6t Xii'.upperAscii()", "\"TACOC\xc3\x86T XII\"");
    gives("'@[`{Zz'.lowerAscii() + '@[`{Zz'.upperAscii()", "\"@[`{zz@[`{ZZ\"");
    gives("'gums'.reverse()", "\"smug\"");
    gives("'a\\u00e9\\U0001F600'.reverse()", "\"\xf0\x9f\x98\x80\xc3\xa9"
                                             "a\"");
    is_true(
        "strings.quote('single-quote with \"double quote\"') == '\"single-quote with \\\\\"double quote\\\\\"\"'");
    is_true("strings.quote('\\a\\n\\\\') == r'\"\\a\\n\\\\\"'");
}

static void conversions_to_string(void **state)
{
    (void)state;
    is_true(
        "string(1) == '1' && string(-1) == '-1' && string(1u) == '1' && string(true) == 'true' && string('x') == 'x'");
    is_true(
        "string(1.5) == '1.5' && string(100.0) == '100' && string(6.02214e23) == '6.02214e+23' && string(0.0001) == '0.0001'");
    is_true("string(b'abc') == 'abc' && string(b'\\303\\251') == '\\u00e9'");
    is_true("string(double('NaN')) == 'NaN' && string(double('-inf')) == '-Infinity'");
    is_true("string(timestamp('2020-01-01T01:02:03.5+01:00')) == '2020-01-01T00:02:03.5Z'");
    is_true("string(duration('1h1.5s')) == '3601.5s' && string(duration('-0.25s')) == '-0.25s'");
    fails("string(b'\\xff')", "not valid UTF-8");
    refused("string([1])", 1, 1, "does not take (list(int))");
    fails("string(dyn(null))", "no such overload");
}

static void conversions_from_string(void **state)
{
    (void)state;
    is_true("int('42') == 42 && int('-42') == -42 && int('+7') == 7 && int('-9223372036854775808') < 0");
    is_true(
        "uint('42') == 42u && double('1.5e3') == 1500.0 && double('-Infinity') < 0 && bytes('\\u00e9') == b'\\xc3\\xa9'");
    is_true(
        "bool('true') && bool('T') && bool('1') && !bool('false') && !bool('F') && !bool('0') && !bool('False')");
    fails("int('')", "not an int");
    fails("int('1.5')", "not an int");
    fails("int('9223372036854775808')", "not an int, or out of its range");
    fails("uint('-1')", "not a uint");
    fails("double('x')", "not a double");
    fails("bool('yes')", "not a bool: 'yes'");
}

static void format_clauses(void **state)
{
    (void)state;
    gives("'no clause %%'.format([])", "\"no clause %\"");
    gives("'%s %s %s %s'.format(['x', 1, 2u, true])", "\"x 1 2 true\"");
    gives("'%s %s %s'.format([1.5, 2.0, null])", "\"1.5 2 null\"");
    gives("'%s'.format([b'\\xff\\xfea\\xff'])", "\"\xef\xbf\xbd"
                                                "a\xef\xbf\xbd\"");
    gives("'%s|%s|%s'.format([timestamp(0), duration('90.5s'), int])", "\"1970-01-01T00:00:00Z|90.5s|int\"");
    gives("'%s'.format([[1, 'a', [2.5]]])", "\"[1, a, [2.5]]\"");
    gives("'%s'.format([{'b': 1, 'a': [null], 10: true}])", "\"{10: true, a: [null], b: 1}\"");
    gives("'%d %d %d'.format([1, 2u, -3])", "\"1 2 -3\"");
    gives("'%f %f %.0f %.1f'.format([1, 3.14, 2.5, 0.25])", "\"1.000000 3.140000 2 0.2\"");
    gives("'%.3f %.3f'.format([123.4999, 123.4994])", "\"123.500 123.499\"");
    gives("'%e %.1e'.format([1052.033, -3.14])", "\"1.052033e+03 -3.1e+00\"");
    gives("'%f %e'.format([double('NaN'), double('-inf')])", "\"NaN -Infinity\"");
    gives("'%x %X %x %x'.format([255, -255, 'hi', b'\\xff'])", "\"ff -FF 6869 ff\"");
    gives("'%o %b %b %b'.format([8, 5, -5, true])", "\"10 101 -101 1\"");
}

static void format_failures(void **state)
{
    (void)state;
    fails("'%s'.format([])", "more clauses than arguments");
    fails("'%q'.format([1])", "unknown clause");
    fails("'%'.format([1])", "malformed clause");
    fails("'%.f'.format([1])", "malformed clause");
    fails("'%.999f'.format([1])", "malformed clause");
    fails("'%d'.format(['a'])", "no such form for the value: '%d' for (string)");
    fails("'%x'.format([1.5])", "no such form");
    fails("'%b'.format(['a'])", "no such form");
    fails("'%s'.format([optional.of(1)])", "no such form");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(tests_of_parts),
        cmocka_unit_test(characters),
        cmocka_unit_test(positions),
        cmocka_unit_test(joining_and_splitting),
        cmocka_unit_test(replacing),
        cmocka_unit_test(cutting),
        cmocka_unit_test(letters),
        cmocka_unit_test(conversions_to_string),
        cmocka_unit_test(conversions_from_string),
        cmocka_unit_test(format_clauses),
        cmocka_unit_test(format_failures),
    };
    return RUN_TESTS(tests);
}
