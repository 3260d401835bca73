/* How many closings there may be: a share for each window, and windows begin WINDOW_US apart at the least. So no second, whenever it
 * begins, meets more than WINDOWS of them. */
#include "mqtt/priv.h"

#define WINDOW_US INT64_C(100000)
#define WINDOWS   11u /* that a second meets, the first and the last in part */

void
pace_init(struct pace *p, uint32_t a_second, uint32_t nsharer)
{
	p->share = a_second / WINDOWS / (nsharer ? nsharer : 1);
	if (p->share == 0)
		p->share = 1;
	p->left = 0;
	p->window_us = INT64_MIN / 2;
}

bool
pace_take(struct pace *p, int64_t now_us)
{
	if (now_us - p->window_us >= WINDOW_US) {
		p->window_us = now_us;
		p->left = p->share;
	}
	if (p->left == 0)
		return false;
	p->left--;
	return true;
}

int64_t
pace_next_us(const struct pace *p)
{
	return p->window_us + WINDOW_US;
}
