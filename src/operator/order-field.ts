// The field by which an order at the admin port says that it is one.

/** No page, form or link makes a browser send it. */
export const ORDER_FIELD = 'holdfast-order';
