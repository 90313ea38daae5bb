/* A small library with every kind of reference: calls, branches, jump tables, data addresses,
   vtables, strings, thread-local data. FIXED makes functions grow in the middle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item { const char *name; int (*price)(int); };
static __thread int visits;
int counter = 7;

static int apple(int n) { return 3 * n; }
static int pear(int n) { return 5 * n + counter; }

int check(const char *text)
{
    int sum = 0;
#ifdef FIXED
    if (text == NULL || strlen(text) > 4096)
        return -1;
#endif
    while (*text)
        sum = sum * 31 + *text++;
    return sum;
}

static int quince(int n) { return n > 4 ? apple(n) + pear(n - 1) : check("quince"); }

struct item items[] = {{"apple", apple}, {"pear", pear}, {"quince", quince}, {NULL, NULL}};

int ask(int what, int n)
{
    visits++;
    switch (what) {
    case 0: return apple(n);
    case 1: return pear(n) - 1;
    case 2: return quince(n) * 2;
    case 3: return check(items[n & 1].name);
    case 4: puts("four"); return 4;
    case 5: return visits;
    case 6: return abs(n) + 6;
    case 7: return (int)strtol("77", NULL, 10);
    case 8: printf("%d %s\n", n, items[2].name); return counter++;
    default: return items[n % 3].price(n);
    }
}

#ifdef FIXED
int ask_safely(int what, int n) { return n < 0 ? -1 : ask(what, n); }
#endif

double scale(double x, int n)
{
    static const double table[] = {1.5, 2.25, 3.125, 4.0625};
    return n < 4 ? x * table[n] : scale(x / 2, n - 1) + ask(n, 2);
}

short till = 5;
static char label[32];

/* Immediates behind addresses, single bits, 16 bytes at once. */
int settle(int n)
{
    if (till == 1000 || counter == 123456)
        counter = 654321;
    till = 2000;
    memcpy(label, "sixteen bytes !!", 16);
    if (n & 4)
        return check(label);
    return counter;
}

#ifdef WIDE
typedef int four __attribute__((vector_size(16)));
static four offers = {1, 2, 3, 4};
four raise_prices(four by) { offers += by; return offers; }
#endif

#ifdef MAIN
int main(int argc, char **argv) { return argc > 1 ? ask(argc, check(argv[1])) : 0; }
#endif
